/** The factorized prior: every channel has one table, whatever the position. */

import type { Popper, Pusher } from "./coder.ts";
import * as coded from "./symbols.ts";
import type { Table } from "./tables.ts";

/**
 * Pops planes of `size` symbols, one table a plane: (planes, size).
 *
 * @throws FormatError the data is not what `push` wrote for this size and these tables
 */
export function pop(popper: Popper, size: number, tables: readonly Table[]): Int16Array {
  const symbols = new Int16Array(tables.length * size);
  const plane = new Int32Array(size);
  for (const [channel, table] of tables.entries()) {
    coded.pop(popper, size, table, plane);
    symbols.set(plane, channel * size);
  }
  return symbols;
}

/** Pushes planes of `size` symbols, one table a plane. */
export function push(pusher: Pusher, symbols: Int16Array, size: number, tables: readonly Table[]): void {
  for (let channel = tables.length - 1; channel >= 0; channel--) {
    const plane = Int32Array.from(symbols.subarray(channel * size, (channel + 1) * size));
    coded.push(pusher, plane, size, tables[channel]);
  }
}
