import assert from "node:assert/strict";
import { test } from "node:test";
import { joined, view } from "../src/bytes.ts";
import { crc32 } from "../src/format/crc32.ts";
import { decodeGrey, encodeGrey } from "../src/picture/png.ts";
import { deflate } from "../src/picture/zlib.ts";
import { bytes, fixtures, outcome } from "./fixtures.ts";

for (const { name, data, height, width, alpha, error } of fixtures.png) {
  test(`${name}: as in Python`, async () => {
    const found = await outcome(decodeGrey(bytes(data), height, width).then((one) => [one]));
    if (error?.startsWith("FormatError: alpha: not a PNG")) {
      assert.match(String(found), /^FormatError: alpha: not a PNG/);
    } else {
      assert.deepEqual(found, error ?? [alpha]);
    }
  });
}

test("alpha is decoded as it was encoded", async () => {
  for (const [height, width] of [
    [1, 1],
    [7, 300],
    [129, 64],
  ]) {
    const alpha = Uint8Array.from({ length: height * width }, (_, i) => (i % 97 > 40 ? 255 : (i * i) >> 3));
    assert.deepEqual(await decodeGrey(await encodeGrey(alpha, height, width), height, width), alpha);
  }
});

/** A PNG of 16 x 16 whose IDAT holds a zlib stream of so many zeros. */
async function zeros(count: number): Promise<Uint8Array> {
  const whole = await encodeGrey(new Uint8Array(256), 16, 16);
  const start = whole.subarray(0, 33); // signature and header
  const body = joined([Uint8Array.of(0x49, 0x44, 0x41, 0x54), await deflate(new Uint8Array(count))]);
  const ends = new Uint8Array(8);
  view(ends).setUint32(0, body.length - 4);
  view(ends).setUint32(4, crc32(body));
  return joined([start, ends.subarray(0, 4), body, ends.subarray(4)]);
}

test("no more is inflated than the pixels need", async () => {
  const bomb = await zeros(2 ** 28);
  const before = process.memoryUsage().rss;
  assert.deepEqual(await decodeGrey(bomb, 16, 16), new Uint8Array(256));
  assert.ok(process.memoryUsage().rss - before < 2 ** 26);
});

test("files without all pixels are refused", async () => {
  const short = {
    name: "FormatError",
    message: /^alpha: not a PNG that can be read: image file is truncated/,
  };
  await assert.rejects(decodeGrey(await zeros(16 * 17 - 1), 16, 16), short);
  const whole = await encodeGrey(new Uint8Array(256), 16, 16);
  for (let length = 0; length < whole.length - 24; length++) {
    await assert.rejects(decodeGrey(whole.subarray(0, length), 16, 16), { name: "FormatError" });
  }
});

test("damaged files are decoded or refused", async () => {
  const whole = await encodeGrey(
    new Uint8Array(256).map((_, i) => i),
    16,
    16,
  );
  for (let i = 0; i < whole.length; i++) {
    const damaged = whole.slice();
    damaged[i] ^= 0xff;
    const found = await outcome(decodeGrey(damaged, 16, 16).then((one) => [one]));
    assert.ok(typeof found !== "string" || found.startsWith("FormatError: alpha: "), String(found));
  }
});
