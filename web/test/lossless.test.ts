import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { candidates, covering, covers, decode, free } from "../src/coding/lossless.ts";
import { read } from "../src/format/container.ts";
import { crc32 } from "../src/format/crc32.ts";
import { fixtures, type Layer, outcome, pixels } from "./fixtures.ts";
import { useNodeRuntime } from "./runtime.ts";

useNodeRuntime();

for (const { name, all, some, ...picture } of fixtures.lossless) {
  test(`${name}: as in Python`, async () => {
    const { height, width } = picture;
    const rgb = await pixels(picture);
    const hidden = new Uint8Array(height * width);
    for (let y = 20; y < 90; y++) {
      hidden.fill(1, y * width + Math.floor(width / 4), (y + 1) * width);
    }
    for (const [expected, mask] of [[all, undefined] as const, [some, hidden] as const]) {
      const layers = await candidates(rgb, mask, height, width);
      const found: Layer[] = layers.map((layer) => ({
        kept: crc32(layer.kept),
        covers: covering(layer),
        free: crc32(free(layer, 16)),
      }));
      assert.deepEqual(found, expected);
      for (const { payload, kept } of layers) {
        const decoded = await decode(payload, height, width);
        const seen = (pixel: number) => kept[pixel] && !mask?.[pixel];
        assert.deepEqual(decoded.kept, kept);
        assert.deepEqual(
          decoded.rgb,
          rgb.map((level, i) => (seen(Math.floor(i / 3)) ? level : 0)),
        );
        assert.equal(covers(payload), !kept.includes(0));
      }
    }
  });
}

test("lossless layers of golden files are decoded as in Python", async () => {
  for (const [name, expected] of Object.entries(fixtures.golden)) {
    const file = readFileSync(new URL(`../../tests/golden/${name}`, import.meta.url));
    const payloads = read(new Uint8Array(file)).segments.flatMap(({ lossless }) => lossless ?? []);
    const found = await Promise.all(
      payloads.map((one) => outcome(decode(one, 128, 128).then(({ rgb, kept }) => [rgb, kept]))),
    );
    assert.deepEqual(
      found,
      expected.map(({ rgb, kept }) => [rgb, kept]),
    );
  }
});
