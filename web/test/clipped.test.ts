import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, applyReduced, encode } from "../src/coding/clipped.ts";
import { crc32 } from "../src/format/crc32.ts";
import { decode } from "../src/picture/webp.ts";
import { bytes, fixtures, pixels } from "./fixtures.ts";
import { useNodeRuntime } from "./runtime.ts";

useNodeRuntime();

for (const { cases, small, name, ...picture } of fixtures.clipped) {
  test(`${name}: as in Python`, async () => {
    const { height, width } = picture;
    const rgb = await pixels(picture);
    const decoded = rgb.slice();
    decoded.forEach((level, i) => {
      decoded[i] = Math.min(Math.max(level + ((i * 7) % 13) - 6, 0), 255);
    });
    const [high, wide] = [Math.ceil(height / 8), Math.ceil(width / 8)];
    const reduced = (await decode(bytes(small), high, wide, "picture")).rgb;
    for (const { bytes: size, fine, payload, ...expected } of cases) {
      const coded = await encode(rgb, height, width, size, fine);
      if (!payload) {
        assert.equal(coded, undefined);
        continue;
      }
      assert.ok(coded);
      const stored = bytes(payload);
      assert.deepEqual(coded.subarray(0, 2), stored.subarray(0, 2));
      for (const one of [coded, stored]) {
        const applied = await apply(one, decoded, height, width);
        const appliedReduced = await applyReduced(one, reduced, high, wide, height, width, 8);
        assert.deepEqual({ applied: crc32(applied), reduced: crc32(appliedReduced) }, expected);
      }
    }
  });
}

test("payloads that no encoder writes are refused", async () => {
  const rgb = new Uint8Array(3 * 16 * 16);
  await assert.rejects(apply(new Uint8Array(), rgb, 16, 16), {
    name: "FormatError",
    message:
      "clipped areas: it starts with nothing; a side of 1, 2, 4, 8, 16 and a margin up to 63 are allowed",
  });
  await assert.rejects(apply(Uint8Array.of(4, 64), rgb, 16, 16), {
    message:
      "clipped areas: it starts with 04 40; a side of 1, 2, 4, 8, 16 and a margin up to 63 are allowed",
  });
});
