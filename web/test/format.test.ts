import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { ConfigError } from "../src/errors.ts";
import * as chunks from "../src/format/chunks.ts";
import * as container from "../src/format/container.ts";
import { crc32 } from "../src/format/crc32.ts";
import { pack, unpack } from "../src/format/metadata.ts";
import { deflate } from "../src/picture/zlib.ts";

const GOLDEN = new URL("../../tests/golden/", import.meta.url);
const ATTACKS = new URL("../../attacks/", import.meta.url);

function files(folder: URL): [name: string, data: Uint8Array][] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".cae"));
  return names.map((name) => [name, new Uint8Array(readFileSync(new URL(name, folder)))]);
}

test("crc32 is that of zlib", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("numbers are read as they are written", () => {
  for (const value of [0, 1, 127, 128, 16383, 16384, 2 ** 31, 2 ** 32]) {
    const written = chunks.varint(value);
    assert.deepEqual(chunks.readVarint(written, 0, "number"), [value, written.length]);
  }
});

test("types of chunks are shown as in Python", () => {
  const shown = [0x41, 0x27, 0x22, 0x5c, 0x0a, 0x00, 0x7f, 0x89, 0xad, 0xe4].map(chunks.shown);
  const expected = [
    "'A'",
    `"'"`,
    `'"'`,
    "'\\\\'",
    "'\\n'",
    "'\\x00'",
    "'\\x7f'",
    "'\\x89'",
    "'\\xad'",
    "'ä'",
  ];
  assert.deepEqual(shown, expected);
});

test("golden files are written as they were read", () => {
  for (const [name, data] of files(GOLDEN)) {
    const { header, segments, metadata } = container.read(data);
    assert.deepEqual(container.readHeader(data), header);
    assert.deepEqual(Buffer.from(container.write(header, segments, metadata)), Buffer.from(data), name);
  }
});

test("attacks on the container give the errors of Python", async () => {
  const later =
    /^(decodes|ModelError|FormatError: (alpha|detail|coded symbols|lossless layer|clipped areas): |FormatError: segment 0 has (no )?latents)/;
  const verdicts = new Map<string, string>();
  for (const line of readFileSync(new URL("README.md", ATTACKS), "utf8").split("\n")) {
    const match = line.match(/\| `(.*\.cae)`, \d+ bytes \| (.*) \| [^|]* \|$/);
    if (match) {
      verdicts.set(match[1], match[2]);
    }
  }
  for (const [name, data] of files(ATTACKS)) {
    let verdict = "";
    try {
      await unpack(container.read(data).metadata);
    } catch (error) {
      verdict = String(error);
    }
    const expected = verdicts.get(name);
    assert.ok(expected, name);
    assert.equal(verdict, later.test(expected) ? "" : expected, name);
  }
});

test("more pixels than allowed are refused", () => {
  const [, data] = files(GOLDEN)[0];
  const { width, height } = container.readHeader(data);
  assert.throws(() => container.read(data, width * height - 1), { name: "LimitError" });
  assert.throws(() => container.read(data, 0.5), ConfigError);
  assert.ok(container.read(data, width * height));
});

test("metadata is unpacked as it was packed", async () => {
  const metadata = { icc: Uint8Array.of(1, 2, 3), xmp: new Uint8Array(2 ** 24).fill(7) };
  const unpacked = await unpack(await pack(metadata));
  assert.deepEqual(Object.keys(unpacked), ["icc", "xmp"]);
  assert.deepEqual(unpacked.icc, metadata.icc);
  assert.equal(Buffer.compare(unpacked.xmp as Uint8Array, metadata.xmp), 0);
});

test("metadata that could not be read back is refused", async () => {
  const allowed = "a Uint8Array of 1 to 16777216 bytes is allowed";
  for (const [given, got] of [
    [new Uint8Array(), "0 bytes"],
    [new Uint8Array(2 ** 24 + 1), "16777217 bytes"],
    [new ArrayBuffer(9) as unknown as Uint8Array, "object"],
  ] as const) {
    await assert.rejects(async () => pack({ exif: given }), {
      name: "ConfigError",
      message: `exif is ${got}; ${allowed}`,
    });
  }
});

test("metadata that is not one zlib stream is refused", async () => {
  const stored = (await pack({ icc: Uint8Array.of(1, 2, 3) })).icc as Uint8Array;
  const whole = { name: "FormatError", message: /^icc: \d+ bytes are not one whole zlib stream/ };
  await assert.rejects(unpack({ icc: stored.subarray(0, -1) }), whole);
  await assert.rejects(unpack({ icc: Uint8Array.of(...stored, 0) }), whole);
  await assert.rejects(unpack({ icc: new Uint8Array() }), whole);
  await assert.rejects(unpack({ icc: await deflate(new Uint8Array()) }), whole);
  await assert.rejects(unpack({ exif: Uint8Array.of(1, 2, 3) }), { message: /^exif: not a zlib stream/ });
  const bomb = await deflate(new Uint8Array(2 ** 24 + 1));
  await assert.rejects(unpack({ xmp: bomb }), {
    name: "LimitError",
    message: "xmp: more than 16777216 bytes; at most that are allowed",
  });
});
