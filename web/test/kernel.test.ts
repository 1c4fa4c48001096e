import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import wabt from "wabt";
import { BINARY, Kernel } from "../src/entropy/kernel.ts";

test("the binary is what kernel.wat assembles to", async () => {
  const source = readFileSync(join(import.meta.dirname, "../src/entropy/kernel.wat"), "utf8");
  const assembled = (await wabt()).parseWat("kernel.wat", source).toBinary({}).buffer;
  assert.equal(BINARY, Buffer.from(assembled).toString("base64"));
});

test("scaled sums are those of plain integers, whatever the count", () => {
  const kernel = new Kernel();
  const weights = Int8Array.from({ length: 200 }, (_, i) => ((i * 89) % 256) - 128);
  kernel.keep(new Int8Array(5));
  const start = kernel.keep(weights);
  for (const count of [1, 7, 8, 12, 80, 163]) {
    for (const factor of [-127, -1, 0, 1, 30, 127]) {
      const sums = kernel.sums(200);
      sums.fill(-1000);
      kernel.add(sums, 3, start + 9, count, factor);
      const expected = Array.from(sums, (_, i) =>
        i >= 3 && i < 3 + count ? -1000 + weights[i - 3 + 9] * factor : -1000,
      );
      assert.deepEqual([...sums], expected);
    }
  }
});
