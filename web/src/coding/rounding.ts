/**
 * Rate-distortion optimised rounding: a value is rounded to the symbol of least rate + distortion.
 *
 * With the quantization step as unit, an entropy-coded uniform quantizer at high rate balances
 * D = step^2 / 12 against R = const - log2(step) at 6 / ln 2 bits per squared step.
 */

import type { Control } from "../entropy/control.ts";
import { PRECISION, SYMBOL_MAX, SYMBOL_MIN, type Table } from "../entropy/tables.ts";

const SLOPE = 6 / Math.LN2; // bits per squared step
const REACH = 64; // beyond, neighbouring symbols cost about the same
// Of the rate. Training rounds to the nearest, so that optimised rounding gains little.
const RATE_WEIGHT = 0.15;

/** The nearest integer within what symbols may be. */
export function nearest(value: number): number {
  return Math.max(SYMBOL_MIN, Math.min(SYMBOL_MAX, Math.round(value)));
}

/** Rounds with the tables of an entropy control. */
export class Rounding {
  /** Bits of each symbol of -REACH .. REACH with each table. */
  readonly #bits: Float32Array[];

  constructor(control: Control) {
    this.#bits = control.tables.map(bitsOf);
  }

  /** The nearest symbol or the one below it in magnitude, whichever costs less in rate and distortion. */
  optimised(value: number, index: number): number {
    const upper = nearest(value);
    if (upper === 0 || Math.abs(upper) > REACH) {
      return upper;
    }
    const lower = upper - Math.sign(upper);
    const bits = this.#bits[index];
    const saved = bits[upper + REACH] - bits[lower + REACH];
    const lost = (value - lower) ** 2 - (value - upper) ** 2;
    return RATE_WEIGHT * saved > SLOPE * lost ? lower : upper;
  }
}

function bitsOf(table: Table): Float32Array {
  const bits = (entry: number) => PRECISION - Math.log2(table.frequencies[entry]);
  return Float32Array.from({ length: 2 * REACH + 1 }, (_, i) => {
    const entry = i - REACH - table.low;
    if (entry >= 0 && entry < table.escape) {
      return bits(entry);
    }
    const distance = entry < 0 ? -entry : entry - table.escape + 1;
    return bits(table.escape) + 6 + 2 * Math.log2(distance);
  });
}
