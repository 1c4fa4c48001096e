import assert from "node:assert/strict";
import { test } from "node:test";
import { Popper, Pusher } from "../src/entropy/coder.ts";
import * as coded from "../src/entropy/symbols.ts";
import { SYMBOL_MAX, SYMBOL_MIN, Table, TableGrid, TOTAL } from "../src/entropy/tables.ts";
import { FormatError, ModelError } from "../src/errors.ts";

/** Of the symbols -2 .. 2, and the escape. */
const FREQUENCIES = Uint32Array.of(1, 5000, TOTAL - 5000 - 1000 - 3 - 70, 1000, 3, 69);
const NARROW = new Table(-2, FREQUENCIES);
const SKEWED = new Table(0, Uint32Array.of(TOTAL - 1, 1));

function roundTrip(runs: [Table, number[]][]): number[][] {
  const pusher = new Pusher();
  for (const [table, symbols] of [...runs].reverse()) {
    coded.push(pusher, Int32Array.from(symbols), symbols.length, table);
  }
  const popper = new Popper(pusher.bytes());
  const popped = runs.map(([table, symbols]) => {
    const run = new Int32Array(symbols.length);
    coded.pop(popper, symbols.length, table, run);
    return [...run];
  });
  popper.finish();
  return popped;
}

test("symbols come back, those that a table covers and those that it does not", () => {
  const covered = Array.from({ length: 5000 }, (_, i) => (i % 7 === 0 ? (i % 5) - 2 : 0));
  const escaped = [SYMBOL_MIN, 3, -3, 100, -100, SYMBOL_MAX, 0, 17, -32000];
  const runs: [Table, number[]][] = [
    [NARROW, covered],
    [NARROW, escaped],
    [SKEWED, [0, 0, 1, 0, 2, 5, 0]],
    [NARROW, []],
  ];
  assert.deepEqual(
    roundTrip(runs),
    runs.map(([, symbols]) => symbols),
  );
});

test("nothing takes no bytes", () => {
  assert.equal(new Pusher().bytes().length, 0);
  new Popper(new Uint8Array()).finish();
});

test("uniform values come back", () => {
  const pusher = new Pusher();
  const sizes = [2, 3, 32, 1 << 17, TOTAL - 1];
  for (const size of [...sizes].reverse()) {
    pusher.uniform(size - 1, size);
    pusher.uniform(0, size);
  }
  const popper = new Popper(pusher.bytes());
  for (const size of sizes) {
    assert.deepEqual([popper.uniform(size), popper.uniform(size)], [0, size - 1]);
  }
  popper.finish();
});

test("bytes that no encoder writes are refused", () => {
  const refused = (data: number[], message: RegExp) =>
    assert.throws(
      () => new Popper(Uint8Array.from(data)).finish(),
      (error) => error instanceof FormatError && message.test(error.message),
    );
  refused([1, 2, 3], /3 bytes; a whole number of 4-byte words is expected/);
  refused([1, 2, 3, 4, 0, 0, 0, 0], /the last word is zero/);
  refused([1, 2, 3, 4], /data is left over/);
});

test("tables that are none are refused", () => {
  const refused = (low: number[], length: number[], frequencies: number[], message: RegExp) =>
    assert.throws(
      () => new TableGrid(1, 1, Int32Array.from(low), Int32Array.from(length), Uint32Array.from(frequencies)),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  refused([0, 0], [2], [1, TOTAL - 1], /do not fit/);
  refused([0], [1], [TOTAL], /a length is 1; 2 to 65537 are allowed/);
  refused([SYMBOL_MAX], [3], [1, 1, TOTAL - 2], /a symbol is outside/);
  refused([0], [2], [1, TOTAL], /sum to 16777216/);
  refused([0], [2], [0, TOTAL], /1 or more/);
  refused([0], [2], [1, TOTAL - 1, 7], /3 frequencies, 2 expected/);
});
