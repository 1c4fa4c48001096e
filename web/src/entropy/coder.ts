/**
 * The range asymmetric numeral system (rANS) coder of the format: 64-bit state, 32-bit words, 24-bit
 * probabilities. A stack: what is pushed last is popped first.
 *
 * The state is kept as two halves of 32 bits. Products of a frequency (24 bits) and a part of the state are
 * made so that each stays below 2^53 and is exact.
 */

import { FormatError } from "../errors.ts";
import { FIRST_SHIFT, PRECISION, type Table, TOTAL } from "./tables.ts";

const WORD = 2 ** 32;
const MASK = TOTAL - 1;

/** Decoder of what `Pusher.bytes` gave. */
export class Popper {
  readonly #words: DataView;
  #left: number;
  #high = 0;
  #low = 0;

  /** @throws FormatError the bytes cannot come from the encoder */
  constructor(data: Uint8Array) {
    if (data.length % 4) {
      throw new FormatError(
        `coded symbols: ${data.length} bytes; a whole number of 4-byte words is expected`,
      );
    }
    this.#words = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#left = data.length / 4;
    if (this.#left > 0 && this.#word(this.#left - 1) === 0) {
      throw new FormatError("coded symbols: the last word is zero, which no encoder writes");
    }
    if (this.#left > 0) {
      this.#low = this.#word(--this.#left);
    }
    if (this.#left > 0) {
      this.#high = this.#low;
      this.#low = this.#word(--this.#left);
    }
  }

  /** Pops `count` entries of a table into `entries`, from its start. */
  entries(count: number, table: Table, entries: Int32Array): void {
    const { starts, frequencies, first } = table;
    let [high, low, left] = [this.#high, this.#low, this.#left];
    for (let i = 0; i < count; i++) {
      const slot = low & MASK;
      let entry = first[slot >>> FIRST_SHIFT];
      while (starts[entry + 1] <= slot) {
        entry++;
      }
      entries[i] = entry;
      const frequency = frequencies[entry];
      // The state without its last 24 bits has 40: 24 and 16 of them are multiplied on their own.
      const upper = frequency * (high >>> 8);
      const carried = Math.floor(upper / 65536);
      const lower =
        (upper - carried * 65536) * 65536 +
        frequency * (((high & 255) << 8) | (low >>> PRECISION)) +
        (slot - starts[entry]);
      const over = Math.floor(lower / WORD);
      high = carried + over;
      low = lower - over * WORD;
      if (high === 0 && left > 0) {
        high = low;
        low = this.#word(--left);
      }
    }
    [this.#high, this.#low, this.#left] = [high, low, left];
  }

  /** Pops a value that is uniform below `size`, 2 to 2^24 - 1. */
  uniform(size: number): number {
    const each = Math.floor(TOTAL / size);
    const value = Math.min(Math.floor((this.#low & MASK) / each), size - 1);
    this.#advance(value * each, value < size - 1 ? each : TOTAL - value * each);
    return value;
  }

  /**
   * Checks that everything pushed has been popped.
   *
   * @throws FormatError something is left
   */
  finish(): void {
    if (this.#left > 0 || this.#low > 0 || this.#high > 0) {
      throw new FormatError("coded symbols: data is left over after the last symbol");
    }
  }

  #advance(start: number, frequency: number): void {
    const state = (BigInt(this.#high) << 32n) | BigInt(this.#low);
    const slot = state & BigInt(MASK);
    let next = BigInt(frequency) * (state >> BigInt(PRECISION)) + slot - BigInt(start);
    if (next < 1n << 32n && this.#left > 0) {
      next = (next << 32n) | BigInt(this.#word(--this.#left));
    }
    this.#high = Number(next >> 32n);
    this.#low = Number(next & 0xffffffffn);
  }

  #word(index: number): number {
    return this.#words.getUint32(4 * index, true);
  }
}

/** Encoder. Push runs in the reverse order of popping; within a run the order is kept. */
export class Pusher {
  #words = new Uint32Array(1024);
  #count = 0;
  #high = 0;
  #low = 0;

  /** Pushes `count` entries of a table. */
  entries(entries: Int32Array, count: number, table: Table): void {
    for (let i = count - 1; i >= 0; i--) {
      this.#push(table.starts[entries[i]], table.frequencies[entries[i]]);
    }
  }

  /** Pushes a value that is uniform below `size`, 2 to 2^24 - 1. */
  uniform(value: number, size: number): void {
    const each = Math.floor(TOTAL / size);
    this.#push(value * each, value < size - 1 ? each : TOTAL - value * each);
  }

  /** All words pushed so far, little-endian. */
  bytes(): Uint8Array {
    const state = this.#high > 0 ? [this.#low, this.#high] : this.#low > 0 ? [this.#low] : [];
    const bytes = new Uint8Array(4 * (this.#count + state.length));
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < this.#count; i++) {
      view.setUint32(4 * i, this.#words[i], true);
    }
    for (const [i, word] of state.entries()) {
      view.setUint32(4 * (this.#count + i), word, true);
    }
    return bytes;
  }

  #push(start: number, frequency: number): void {
    // The state must stay below 2^64: it is divided by the frequency and multiplied by 2^24.
    if (Math.floor(this.#high / 256) >= frequency) {
      if (this.#count === this.#words.length) {
        const longer = new Uint32Array(2 * this.#count);
        longer.set(this.#words);
        this.#words = longer;
      }
      this.#words[this.#count++] = this.#low;
      this.#low = this.#high;
      this.#high = 0;
    }
    // Long division by 32, 16 and 16 bits.
    const first = Math.floor(this.#high / frequency);
    const second = (this.#high - first * frequency) * 65536 + Math.floor(this.#low / 65536);
    const middle = Math.floor(second / frequency);
    const third = (second - middle * frequency) * 65536 + (this.#low & 65535);
    const last = Math.floor(third / frequency);
    const quotient = first * WORD + middle * 65536 + last; // below 2^40
    this.#high = Math.floor(quotient / 256);
    this.#low = (quotient % 256) * TOTAL + start + (third - last * frequency);
  }
}
