/**
 * Symbols that each have a table index: sorted by index, so that each table codes one run.
 *
 * Index 0 means that the symbol is zero; it is not coded.
 */

import type { Popper, Pusher } from "./coder.ts";
import * as coded from "./symbols.ts";
import type { Table } from "./tables.ts";

/** Symbols that are not zero, which are few, and their offsets among all. */
export interface Nonzero {
  offsets: Uint32Array;
  symbols: Int16Array;
}

/**
 * Pops a symbol for each index that is not 0.
 *
 * @throws FormatError the data is not what `push` wrote for these indices and tables
 */
export function pop(popper: Popper, indices: Uint8Array, tables: readonly Table[]): Nonzero {
  const { order, ends } = sorted(indices, tables.length);
  const symbols = new Int16Array(order.length);
  const run = new Int32Array(longest(ends));
  let kept = 0;
  for (let index = 1; index < ends.length; index++) {
    const start = ends[index - 1];
    const count = ends[index] - start;
    if (count > 0) {
      coded.pop(popper, count, tables[index], run);
      for (let i = 0; i < count; i++) {
        if (run[i] !== 0) {
          order[kept] = order[start + i]; // never ahead of what is read
          symbols[kept++] = run[i];
        }
      }
    }
  }
  return { offsets: order.subarray(0, kept), symbols: symbols.subarray(0, kept) };
}

/** Those of symbols that are not zero. */
export function nonzero(symbols: Int16Array): Nonzero {
  const offsets = new Uint32Array(symbols.length);
  let count = 0;
  for (let offset = 0; offset < symbols.length; offset++) {
    if (symbols[offset] !== 0) {
      offsets[count++] = offset;
    }
  }
  return { offsets: offsets.subarray(0, count), symbols: symbols.filter((symbol) => symbol !== 0) };
}

/** Pushes symbols, each with the table of its index; zero where that is 0. */
export function push(
  pusher: Pusher,
  symbols: Int16Array,
  indices: Uint8Array,
  tables: readonly Table[],
): void {
  const { order, ends } = sorted(indices, tables.length);
  const run = new Int32Array(longest(ends));
  for (let index = ends.length - 1; index > 0; index--) {
    const start = ends[index - 1];
    const count = ends[index] - start;
    if (count > 0) {
      for (let i = 0; i < count; i++) {
        run[i] = symbols[order[start + i]];
      }
      coded.push(pusher, run, count, tables[index]);
    }
  }
}

/** Offsets of the indices that are not 0, by rising index, and where each index ends in that order. */
function sorted(indices: Uint8Array, tables: number): { order: Uint32Array; ends: Uint32Array } {
  const counts = new Uint32Array(tables);
  for (let i = 0; i < indices.length; i++) {
    counts[indices[i]]++;
  }
  const ends = new Uint32Array(tables);
  for (let index = 1; index < tables; index++) {
    ends[index] = ends[index - 1] + counts[index];
  }
  const order = new Uint32Array(ends[tables - 1]);
  const next = new Uint32Array(tables);
  next.set(ends.subarray(0, -1), 1);
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] > 0) {
      order[next[indices[i]]++] = i;
    }
  }
  return { order, ends };
}

function longest(ends: Uint32Array): number {
  return ends.reduce((most, end, index) => (index > 0 ? Math.max(most, end - ends[index - 1]) : most), 0);
}
