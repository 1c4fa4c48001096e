import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "../src/format/crc32.ts";
import { cleared } from "../src/picture/clear.ts";
import { decode, encode, FAST, readStart, USUAL, useRuntime } from "../src/picture/webp.ts";
import { bytes, fixtures, outcome, pixels } from "./fixtures.ts";
import { useNodeRuntime } from "./runtime.ts";

useNodeRuntime();

const FIELD = "lossless layer";

for (const { name, data, height, width, rgb, kept, error } of fixtures.webp) {
  test(`${name}: as in Python`, async () => {
    const decoding = decode(bytes(data), height, width, FIELD).then((found) => [found.rgb, found.kept]);
    assert.deepEqual(await outcome(decoding), error ?? [rgb, kept]);
  });
}

function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

test("colours and holes are decoded as they were encoded", async () => {
  for (const method of [FAST, USUAL]) {
    for (const [height, width] of [
      [1, 1],
      [33, 70],
    ]) {
      const rgb = noise(height * width * 3, 1);
      const kept = noise(height * width, 2).map((level) => level & 1);
      kept[0] = 0;
      const whole = await decode(await encode(rgb, undefined, height, width, method), height, width, FIELD);
      assert.deepEqual(whole, { rgb, kept: new Uint8Array(height * width).fill(1) });
      const coded = await encode(rgb, kept, height, width, method);
      assert.deepEqual(readStart(coded, FIELD), { width, height, hasHoles: true });
      const seen = rgb.map((level, i) => level * kept[Math.floor(i / 3)]);
      assert.deepEqual(await decode(coded, height, width, FIELD), { rgb: seen, kept });
    }
  }
});

test("damaged files are decoded or refused, and leave nothing behind", async () => {
  const [height, width] = [20, 30];
  const rgb = noise(height * width * 3, 3).map((level) => level & 0xc0);
  const coded = await encode(rgb, undefined, height, width);
  for (let i = 25; i < Math.min(coded.length, 200); i++) {
    const damaged = coded.slice();
    damaged[i] ^= noise(1, i)[0] | 1;
    const decoding = decode(damaged, height, width, FIELD).then((found) => [found.rgb]);
    const found = await outcome(decoding);
    const refused = `FormatError: ${FIELD}: not a WebP that can be read: `;
    assert.ok(typeof found !== "string" || found.startsWith(refused), String(found));
  }
  assert.equal(crc32((await decode(coded, height, width, FIELD)).rgb), crc32(rgb));
});

test("libwebp that cannot be loaded is told, and can be loaded later", async () => {
  const coded = await encode(new Uint8Array(12), undefined, 2, 2);
  useRuntime(new URL("https://example.org/"), () => Promise.reject(new Error("no network")));
  await assert.rejects(decode(coded, 2, 2, FIELD), {
    name: "CaesuraError",
    message: "https://example.org/webp_dec.wasm cannot be loaded: no network",
  });
  useNodeRuntime();
  assert.deepEqual((await decode(coded, 2, 2, FIELD)).rgb, new Uint8Array(12));
});

test("pixels that are not seen are interpolated as in Python", async () => {
  const { height, width } = fixtures.cleared;
  const { rgb, kept } = await decode(bytes(fixtures.cleared.kept), height, width, FIELD);
  const expected = await pixels(fixtures.cleared);
  cleared(rgb, kept, height, width).forEach((level, i) => {
    assert.ok(Math.abs(level - expected[i]) <= 1);
  });
  const none = new Uint8Array(height * width);
  assert.deepEqual(cleared(rgb, none, height, width), new Uint8Array(rgb.length).fill(128));
  assert.equal(cleared(rgb, none.fill(1), height, width), rgb);
});
