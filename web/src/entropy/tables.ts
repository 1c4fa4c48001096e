/**
 * Integer probability tables.
 *
 * A table covers the symbols low, low + 1, ...; its last entry is the escape, for every symbol outside.
 * Frequencies are integers of at least 1 that sum to 2^24, so a table means the same on every machine.
 */

import { ModelError } from "../errors.ts";

export const PRECISION = 24;
export const TOTAL = 1 << PRECISION;
export const SYMBOL_MIN = -(1 << 15);
export const SYMBOL_MAX = (1 << 15) - 1;
const LONGEST = SYMBOL_MAX - SYMBOL_MIN + 2; // every symbol, and the escape
/** Slots that share an entry of `Table.first`, as a power of two. */
export const FIRST_SHIFT = 14;

/** One frozen table. */
export class Table {
  /** The first symbol covered. */
  readonly low: number;
  /** Of each entry, the escape's last; they sum to 2^24. */
  readonly frequencies: Uint32Array;
  /** The sums of the frequencies before each entry, and 2^24. */
  readonly starts: Uint32Array;
  /** The entry of every 2^14th slot, from which a search for that of a slot starts. */
  readonly first: Uint16Array;

  constructor(low: number, frequencies: Uint32Array) {
    this.low = low;
    this.frequencies = frequencies;
    this.starts = new Uint32Array(frequencies.length + 1);
    for (let entry = 0; entry < frequencies.length; entry++) {
      this.starts[entry + 1] = this.starts[entry] + frequencies[entry];
    }
    this.first = new Uint16Array(TOTAL >>> FIRST_SHIFT);
    for (let i = 0, entry = 0; i < this.first.length; i++) {
      while (this.starts[entry + 1] <= i << FIRST_SHIFT) {
        entry++;
      }
      this.first[i] = entry;
    }
  }

  /** Index of the escape: symbols covered are low .. low + escape - 1. */
  get escape(): number {
    return this.frequencies.length - 1;
  }
}

/** Tables of a model: one row per step of the rate ladder, one column per channel. */
export class TableGrid {
  readonly rows: number;
  readonly channels: number;
  readonly #low: Int32Array;
  readonly #frequencies: Uint32Array;
  /** Where each table's frequencies start, and their end. */
  readonly #starts: Uint32Array;
  #last: { row: number; tables: Table[] } | undefined;

  /**
   * @param low of each table, row by row
   * @param length number of frequencies of each
   * @param frequencies of all tables, one after another
   * @throws ModelError they do not make tables
   */
  constructor(rows: number, channels: number, low: Int32Array, length: Int32Array, frequencies: Uint32Array) {
    if (rows < 1 || channels < 1 || low.length !== rows * channels || length.length !== low.length) {
      throw new ModelError(`tables: ${low.length} and ${length.length} in ${rows} x ${channels} do not fit`);
    }
    this.rows = rows;
    this.channels = channels;
    this.#low = low;
    this.#frequencies = frequencies;
    this.#starts = new Uint32Array(length.length + 1);
    for (let table = 0; table < length.length; table++) {
      const end = this.#starts[table] + length[table];
      if (length[table] < 2 || length[table] > LONGEST || end > frequencies.length) {
        throw new ModelError(`tables: a length is ${length[table]}; 2 to ${LONGEST} are allowed`);
      }
      if (low[table] < SYMBOL_MIN || low[table] + length[table] - 2 > SYMBOL_MAX) {
        throw new ModelError(`tables: a symbol is outside ${SYMBOL_MIN}..${SYMBOL_MAX}`);
      }
      let sum = 0;
      for (let i = this.#starts[table]; i < end; i++) {
        sum = frequencies[i] < 1 ? Number.NaN : sum + frequencies[i];
      }
      if (sum !== TOTAL) {
        throw new ModelError(`tables: frequencies must be 1 or more and sum to ${TOTAL}`);
      }
      this.#starts[table + 1] = end;
    }
    if (this.#starts[length.length] !== frequencies.length) {
      throw new ModelError(
        `tables: ${frequencies.length} frequencies, ${this.#starts[length.length]} expected`,
      );
    }
  }

  /** The tables of one row, a channel each. */
  row(row: number): Table[] {
    if (this.#last?.row !== row) {
      const tables = Array.from({ length: this.channels }, (_, channel) => {
        const at = row * this.channels + channel;
        return new Table(this.#low[at], this.#frequencies.subarray(this.#starts[at], this.#starts[at + 1]));
      });
      this.#last = { row, tables };
    }
    return this.#last.tables;
  }
}
