import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "../src/errors.ts";
import { search } from "../src/ratecontrol/search.ts";

const TOP = 7200;

/** Sizes along the ladder, which leap at its top; and how often they were asked for. */
function ladder(least = 500, leap = 1.5) {
  const tried: number[] = [];
  const size = (position: number) => least * Math.exp(position / 2000) * (position > TOP ? leap : 1);
  const attempt = async (position: number) => {
    tried.push(position);
    return new Uint8Array(Math.floor(size(position)));
  };
  return { tried, size, attempt };
}

test("the largest file within a size is found in few trials, from wherever the search starts", async () => {
  for (const start of [100, 2500, TOP, 10000]) {
    for (const bytes of [600, 1700, 5000, 14000, 40000, 90000]) {
      const { tried, size, attempt } = ladder();
      const file = await search(bytes, attempt, start, TOP);
      assert.ok(file.length <= bytes);
      const largest = Math.min(size(10000), bytes);
      const close = file.length >= largest - Math.max(0.01 * largest, 40) - 1;
      const atLeap = file.length === Math.floor(size(TOP)) && size(TOP + 1) > bytes;
      assert.ok(close || atLeap, `${file.length} of ${bytes}`);
      assert.ok(tried.length <= 12, `${tried}`);
      assert.equal(new Set(tried).size, tried.length);
    }
  }
});

test("a size that no position has is refused, and the least is told", async () => {
  await assert.rejects(
    search(400, ladder().attempt, 5000, TOP),
    (error) => error instanceof ConfigError && /bytes is 400; 525 or more is possible/.test(error.message),
  );
});

test("sizes that are none are refused", async () => {
  for (const bytes of [0, -5, 1.5, Number.NaN]) {
    await assert.rejects(search(bytes, ladder().attempt, 5000, TOP), /an integer of 1 or more is allowed/);
  }
});
