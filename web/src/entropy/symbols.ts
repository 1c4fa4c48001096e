/**
 * Symbols that share a table, escapes included.
 *
 * A symbol outside its table is coded as the escape, and its distance beyond the table follows after the other
 * symbols: the bit length of distance + 1, then the bits below the leading one (Elias gamma).
 */

import { FormatError } from "../errors.ts";
import type { Popper, Pusher } from "./coder.ts";
import { SYMBOL_MAX, SYMBOL_MIN, type Table } from "./tables.ts";

const LENGTHS = 32; // bit lengths of an escaped distance are coded uniformly below this
const LONGEST = 17; // of those that are needed

/**
 * Pops `count` symbols into `symbols`, from its start.
 *
 * @throws FormatError an escape is not what `push` writes
 */
export function pop(popper: Popper, count: number, table: Table, symbols: Int32Array): void {
  popper.entries(count, table, symbols);
  const { low, escape: last } = table;
  const escaped = [];
  for (let i = 0; i < count; i++) {
    if (symbols[i] === last) {
      escaped.push(i);
    }
    symbols[i] += low;
  }
  if (escaped.length > 0) {
    popEscaped(popper, escaped, table, symbols);
  }
}

/** Pushes `count` symbols, each in SYMBOL_MIN .. SYMBOL_MAX; the mirror of `pop`. */
export function push(pusher: Pusher, symbols: Int32Array, count: number, table: Table): void {
  const { low, escape: last } = table;
  const entries = new Int32Array(count);
  const escaped = [];
  for (let i = 0; i < count; i++) {
    const entry = symbols[i] - low;
    const outside = entry < 0 || entry >= last;
    entries[i] = outside ? last : entry;
    if (outside) {
      escaped.push(symbols[i]);
    }
  }
  if (escaped.length > 0) {
    pushEscaped(pusher, escaped, table);
  }
  pusher.entries(entries, count, table);
}

function popEscaped(popper: Popper, escaped: number[], table: Table, symbols: Int32Array): void {
  const lengths = escaped.map(() => popper.uniform(LENGTHS));
  const longest = lengths.reduce((one, other) => Math.max(one, other));
  if (longest > LONGEST) {
    throw new FormatError(`coded symbols: an escape of ${longest} bits; at most ${LONGEST} are allowed`);
  }
  for (const [i, length] of lengths.entries()) {
    const code = (1 << length) - 1 + (length > 0 ? popper.uniform(1 << length) : 0);
    const distance = code >> 1;
    const symbol = code % 2 ? table.low - 1 - distance : table.low + table.escape + distance;
    if (symbol < SYMBOL_MIN || symbol > SYMBOL_MAX) {
      throw new FormatError(`coded symbols: an escaped symbol is outside ${SYMBOL_MIN}..${SYMBOL_MAX}`);
    }
    symbols[escaped[i]] = symbol;
  }
}

function pushEscaped(pusher: Pusher, escaped: number[], table: Table): void {
  const codes = escaped.map((symbol) => {
    const above = symbol - (table.low + table.escape);
    return (above >= 0 ? 2 * above : 2 * (table.low - 1 - symbol) + 1) + 1;
  });
  const lengths = codes.map((code) => 31 - Math.clz32(code));
  for (let i = codes.length - 1; i >= 0; i--) {
    if (lengths[i] > 0) {
      pusher.uniform(codes[i] - (1 << lengths[i]), 1 << lengths[i]);
    }
  }
  for (let i = lengths.length - 1; i >= 0; i--) {
    pusher.uniform(lengths[i], LENGTHS);
  }
}
