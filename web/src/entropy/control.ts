/**
 * Exact entropy control: the table index of every symbol, an integer function of integers alone.
 *
 *     sum = bias[row, channel] + base(inputs) + near(magnitudes) + far(magnitudes)     in steps of 1/32 index
 *     index = clip((sum + 16) >> 5, lowest, 63)
 *
 * `base` is a linear map from each position of a coarser plane of integers to the positions below it; `near`
 * (depthwise 3x3) and `far` (1x1) act on the magnitudes of symbols of earlier passes. Most of those are zero:
 * each that is not is added to the sums that depend on it as soon as it is known.
 */

import { ModelError } from "../errors.ts";
import type { Nonzero } from "./grouped.ts";
import { Kernel } from "./kernel.ts";
import { CORNERS, cornerOf, PASSES, parts, sizeOf } from "./passes.ts";
import type { Table } from "./tables.ts";

const FRACTION = 5;
export const INDICES = 64;
const LARGEST_MAGNITUDE = 30;
const EXACT = 1 << 24;

/** round(2 log2(1 + a)) for a in 0 .. 2^15, in integers: how many of 2, 8, 32, ... (1 + a)^4 reaches. */
const MAGNITUDE = (() => {
  const magnitudes = new Uint8Array((1 << 15) + 1);
  for (let a = 0, steps = 0; a < magnitudes.length; a++) {
    const power = BigInt(a + 1) ** 4n;
    while (power >= 2n << BigInt(2 * steps)) {
      steps++;
    }
    magnitudes[a] = steps;
  }
  return magnitudes;
})();

/** round(2 log2(1 + |s|)), 0 to 30, of each symbol. */
export function magnitudes(symbols: Int16Array): Uint8Array {
  return Uint8Array.from(symbols, (symbol) => MAGNITUDE[Math.abs(symbol)]);
}

/** Integer arrays of a model, as its files hold them. */
export interface ControlArrays {
  /** (rows, C), a row per step of the rate scale. */
  bias: Int32Array;
  /** (D, C, k, k): input channel, channel, row and column below a position. */
  base: Int8Array;
  /** (3, C, 3, 3). */
  near: Int8Array;
  /** (3, C, C): channel, channel it looks at. */
  far: Int8Array;
}

/** Frozen integer weights, and the tables that indices choose from. */
export class Control {
  readonly rows: number;
  readonly channels: number;
  readonly inputs: number;
  /** Positions per input position, each way. */
  readonly below: number;
  /** Inputs are clipped to -limit .. limit. */
  readonly limit: number;
  readonly tables: readonly Table[];
  /** Smallest index; index 0 means that the symbol is zero and is not coded. */
  readonly lowest: number;
  readonly bias: Int32Array;
  readonly kernel = new Kernel();
  /** Where the kernel has (D, k, k, C) and (3, channel looked at, C): the channels that a symbol acts on lie together. */
  readonly base: number;
  readonly far: number;
  /** (3, 3, 3, C). */
  readonly near: Int8Array;

  /** @throws ModelError the arrays do not fit, or sums may not be exact elsewhere */
  constructor(
    arrays: ControlArrays,
    sizes: { channels: number; inputs: number; below: number; limit: number; lowest: number },
    tables: readonly Table[],
  ) {
    const { channels, inputs, below } = sizes;
    const expected = {
      base: inputs * channels * below * below,
      near: (PASSES - 1) * channels * 9,
      far: (PASSES - 1) * channels * channels,
    };
    for (const name of ["base", "near", "far"] as const) {
      if (arrays[name].length !== expected[name]) {
        throw new ModelError(
          `control: ${name} has ${arrays[name].length} weights; ${expected[name]} expected`,
        );
      }
    }
    if (channels % PASSES || tables.length !== INDICES || arrays.bias.length % channels) {
      const got = `${channels} channels, ${tables.length} tables and ${arrays.bias.length} biases`;
      throw new ModelError(`control: ${got}; a multiple of ${PASSES} and ${INDICES} tables expected`);
    }
    this.rows = arrays.bias.length / channels;
    this.channels = channels;
    this.inputs = inputs;
    this.below = below;
    this.limit = sizes.limit;
    this.lowest = sizes.lowest;
    this.tables = tables;
    this.bias = arrays.bias;
    const base = channelsLast(arrays.base, inputs, channels, below * below);
    const far = channelsLast(arrays.far, PASSES - 1, channels, channels);
    this.near = channelsLast(arrays.near, PASSES - 1, channels, 9);
    this.base = this.kernel.keep(base);
    this.far = this.kernel.keep(far);
    const reached = this.#largestSum(base, far);
    if (reached >= EXACT) {
      throw new ModelError(`control: sums may reach ${reached}; below ${EXACT} is exact`);
    }
  }

  /** A bound of every sum's absolute value, for any inputs and symbols. */
  #largestSum(base: Int8Array, far: Int8Array): number {
    const { channels, inputs } = this;
    const positions = this.below ** 2;
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
    const bounds = numbers(channels).map((channel) => {
      const biases = numbers(this.rows).map((row) => Math.abs(this.bias[row * channels + channel]));
      const bases = numbers(positions).map((position) =>
        sumOf(base, position * channels + channel, inputs, positions * channels),
      );
      const around = numbers(PASSES - 1).map(
        (pass) =>
          sumOf(this.near, pass * 9 * channels + channel, 9, channels) +
          sumOf(far, pass * channels ** 2 + channel, channels, channels),
      );
      return Math.max(...biases) + this.limit * Math.max(...bases) + LARGEST_MAGNITUDE * Math.max(...around);
    });
    return Math.max(...bounds) + (1 << FRACTION);
  }
}

/** The sum of absolute values of `count` weights, each `step` behind the one before. */
function sumOf(weights: Int8Array, first: number, count: number, step: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += Math.abs(weights[first + i * step]);
  }
  return sum;
}

/** (outer, channels, inner) to (outer, inner, channels). */
function channelsLast(weights: Int8Array, outer: number, channels: number, inner: number): Int8Array {
  const turned = new Int8Array(weights.length);
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < inner; i++) {
        turned[(o * inner + i) * channels + c] = weights[(o * channels + c) * inner + i];
      }
    }
  }
  return turned;
}

/**
 * The indices of one plane, pass after pass; encoder and decoder make the same calls:
 *
 *     for each pass: indices(pass), then update(pass, symbols)
 *
 * The sums are in the control's memory: indices of one plane at a time.
 */
export class Indices {
  readonly #control: Control;
  readonly #rows: number;
  readonly #columns: number;
  /** Sums so far, with half a step, so that rounding down rounds to the nearest: (rows, columns, C). */
  readonly #sums: Int32Array;

  /**
   * @param inputs (D, high, wide) for `base`, clipped here to the control's limit
   * @param row of the bias
   * @param rows of the plane, at most `high` times `below`; columns likewise
   */
  constructor(
    control: Control,
    inputs: Int16Array | Uint8Array,
    [high, wide]: readonly [number, number],
    row: number,
    [rows, columns]: readonly [number, number],
  ) {
    this.#control = control;
    this.#rows = rows;
    this.#columns = columns;
    const { channels } = control;
    const bias = control.bias
      .slice(row * channels, (row + 1) * channels)
      .map((b) => b + (1 << (FRACTION - 1)));
    this.#sums = control.kernel.sums(rows * columns * channels);
    for (let at = 0; at < this.#sums.length; at += channels) {
      this.#sums.set(bias, at);
    }
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        this.#addInputs(inputs, y * wide + x, high * wide, y * control.below, x * control.below);
      }
    }
  }

  /** Indices of a pass, in its order: uint8. */
  indices(pass: number): Uint8Array {
    const { channels, lowest } = this.#control;
    const all = parts(pass, channels, this.#rows, this.#columns);
    const found = new Uint8Array(all.reduce((sum, part) => sum + sizeOf(part), 0));
    let start = 0;
    for (const part of all) {
      const plane = part.high * part.wide;
      for (let y = 0; y < part.high; y++) {
        for (let x = 0; x < part.wide; x++) {
          const position = (2 * y + part.row) * this.#columns + 2 * x + part.column;
          const from = position * channels + part.first;
          for (let c = 0, to = start + y * part.wide + x; c < part.channels; c++, to += plane) {
            const index = this.#sums[from + c] >> FRACTION;
            found[to] = Math.max(lowest, Math.min(index, INDICES - 1));
          }
        }
      }
      start += sizeOf(part);
    }
    return found;
  }

  /**
   * Adds the symbols of a pass that are not zero.
   *
   * @param plane (C, rows, columns), which they are written to
   */
  update(pass: number, { offsets, symbols }: Nonzero, plane: Int16Array): void {
    const { channels } = this.#control;
    const all = parts(pass, channels, this.#rows, this.#columns);
    const starts = all.map((_, corner) => all.slice(0, corner).reduce((sum, part) => sum + sizeOf(part), 0));
    const neighbours = all.map((_, corner) => laterNeighbours(pass, corner));
    for (let i = 0; i < offsets.length; i++) {
      let corner = PASSES - 1;
      while (offsets[i] < starts[corner]) {
        corner--;
      }
      const part = all[corner];
      const line = Math.floor((offsets[i] - starts[corner]) / part.wide);
      const inLine = offsets[i] - starts[corner] - line * part.wide;
      const inPart = Math.floor(line / part.high);
      const channel = part.first + inPart;
      const y = 2 * (line - inPart * part.high) + part.row;
      const x = 2 * inLine + part.column;
      const position = y * this.#columns + x;
      plane[channel * this.#rows * this.#columns + position] = symbols[i];
      const magnitude = MAGNITUDE[Math.abs(symbols[i])];
      this.#addFar(pass, corner, channel, position, magnitude);
      this.#addNear(neighbours[corner], channel, y, x, magnitude);
    }
  }

  #addInputs(inputs: Int16Array | Uint8Array, from: number, size: number, top: number, left: number): void {
    const { channels, below, limit, base, kernel } = this.#control;
    const bottom = Math.min(top + below, this.#rows);
    const right = Math.min(left + below, this.#columns);
    for (let input = 0; input < this.#control.inputs; input++) {
      const value = Math.max(-limit, Math.min(limit, inputs[input * size + from]));
      if (value === 0) {
        continue;
      }
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
          const weights = ((input * below + y - top) * below + x - left) * channels;
          kernel.add(this.#sums, (y * this.#columns + x) * channels, base + weights, channels, value);
        }
      }
    }
  }

  #addFar(pass: number, corner: number, channel: number, position: number, magnitude: number): void {
    const { channels, far, kernel } = this.#control;
    const count = channels / PASSES;
    for (let later = pass + 1; later < PASSES; later++) {
      const first = (corner ^ later) * count;
      const weights = ((later - 1) * channels + channel) * channels + first;
      kernel.add(this.#sums, position * channels + first, far + weights, count, magnitude);
    }
  }

  #addNear(neighbours: readonly Neighbour[], channel: number, y: number, x: number, magnitude: number): void {
    const { channels, near } = this.#control;
    for (const { down, right, weights } of neighbours) {
      const row = y + down;
      const column = x + right;
      if (row >= 0 && row < this.#rows && column >= 0 && column < this.#columns) {
        this.#sums[(row * this.#columns + column) * channels + channel] +=
          near[weights * channels + channel] * magnitude;
      }
    }
  }
}

/** A position beside one, and which of `near` it looks back by: (pass - 1) * 9 + the position in the 3x3. */
interface Neighbour {
  down: number;
  right: number;
  weights: number;
}

/** The neighbours whose symbol of the same channel is coded after what a corner codes in a pass. */
function laterNeighbours(pass: number, corner: number): Neighbour[] {
  const [row, column] = CORNERS[corner];
  const found = [];
  for (const down of [-1, 0, 1]) {
    for (const right of [-1, 0, 1]) {
      const theirs = cornerOf((row + down + 2) % 2, (column + right + 2) % 2);
      const later = corner ^ pass ^ theirs;
      if (later > pass) {
        found.push({ down, right, weights: (later - 1) * 9 + (1 - down) * 3 + (1 - right) });
      }
    }
  }
  return found;
}
