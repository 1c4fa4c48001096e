/**
 * One segment with `cae2026`: hyperlatents first, then the latents in four passes.
 *
 *     encode: pixels -> analysis -> * gain -> hyper-analysis -> round -> hyperlatents
 *             each pass: means, indices -> round(latent - mean) -> symbols
 *             all of it, last first -> entropy code -> payload
 *     decode: payload -> hyperlatents -> each pass: indices -> entropy decode -> symbols
 *             each pass: means -> + symbols -> latents -> synthesis -> pixels
 *
 * Symbols are decoded before any network runs: nothing that floats compute steers them.
 */

import { Popper, Pusher } from "../entropy/coder.ts";
import { type Control, Indices, magnitudes } from "../entropy/control.ts";
import * as factorized from "../entropy/factorized.ts";
import * as grouped from "../entropy/grouped.ts";
import { PASSES, parts } from "../entropy/passes.ts";
import type { Conditioning } from "../models/conditioning.ts";
import { HYPER, HYPERLATENT_LIMIT } from "../models/model.ts";
import type { Networks } from "../runtime/networks.ts";
import type { Decoded, Encoded, SegmentCoder, Shape } from "./base.ts";
import { Rounding } from "./rounding.ts";

/** The symbols of a segment. */
export interface Symbols {
  /** (D, rows / 4, columns / 4), sides rounded up. */
  hyperlatents: Int16Array;
  /** (channels, rows, columns). */
  latents: Int16Array;
}

/**
 * The symbols of a payload.
 *
 * @throws FormatError it is not what `Cae2026.encode` gives for this conditioning and shape
 */
export function decodeSymbols(payload: Uint8Array, at: Conditioning, shape: Shape): Symbols {
  const control = controlOf(at);
  const popper = new Popper(payload);
  const [high, wide] = hyperShape(shape);
  const hyperlatents = factorized.pop(popper, high * wide, at.tables);
  const indices = new Indices(control, hyperlatents, [high, wide], at.row, shape);
  const latents = new Int16Array(control.channels * shape[0] * shape[1]);
  for (let pass = 0; pass < PASSES; pass++) {
    indices.update(pass, grouped.pop(popper, indices.indices(pass), control.tables), latents);
  }
  popper.finish();
  return { hyperlatents, latents };
}

/**
 * The hyperlatents of a payload, (D, rows / 4, columns / 4), which come first in it; the rest is not looked at.
 *
 * @throws FormatError they are not what `Cae2026.encode` gives for this conditioning and shape
 */
export function decodeHyperlatents(payload: Uint8Array, at: Conditioning, shape: Shape): Int16Array {
  const [high, wide] = hyperShape(shape);
  return factorized.pop(new Popper(payload), high * wide, at.tables);
}

/** See `SegmentCoder`. */
export class Cae2026 implements SegmentCoder {
  readonly #at: Conditioning;
  readonly #networks: Networks;
  #rounding: Rounding | undefined;

  constructor(at: Conditioning, networks: Networks) {
    this.#at = at;
    this.#networks = networks;
  }

  analyse(rgb: Uint8Array, height: number, width: number): Promise<Float32Array> {
    return this.#networks.analyse(rgb, height, width, this.#at);
  }

  async encode(latents: Float32Array, shape: Shape, free: Uint8Array | undefined): Promise<Encoded> {
    const at = this.#at;
    const control = controlOf(at);
    this.#rounding ??= new Rounding(control);
    const size = shape[0] * shape[1];
    const scaled = latents.map((latent, i) => latent * at.gain[Math.floor(i / size)]);
    const hyperlatents = await this.#hyperlatents(scaled, shape);
    const indices = new Indices(control, hyperlatents, hyperShape(shape), at.row, shape);
    const progressive = new ProgressiveLatents(at, this.#networks, shape);
    await progressive.start(hyperlatents);
    const symbols = new Int16Array(latents.length);
    const passes: { symbols: Int16Array; indices: Uint8Array }[] = [];
    for (let pass = 0; pass < PASSES; pass++) {
      const chosen = indices.indices(pass);
      await progressive.startPass(pass);
      const found = this.#quantized(pass, chosen, scaled, progressive, free);
      indices.update(pass, grouped.nonzero(found), symbols);
      progressive.update(pass, symbols);
      passes.push({ symbols: found, indices: chosen });
    }
    const pusher = new Pusher();
    for (const pass of passes.reverse()) {
      grouped.push(pusher, pass.symbols, pass.indices, control.tables);
    }
    const [high, wide] = hyperShape(shape);
    factorized.push(pusher, hyperlatents, high * wide, at.tables);
    return {
      payload: pusher.bytes(),
      decoded: { latents: progressive.values(), magnitudes: this.#magnitudes(symbols) },
    };
  }

  async decode(payload: Uint8Array, shape: Shape): Promise<Decoded> {
    const symbols = decodeSymbols(payload, this.#at, shape);
    const progressive = new ProgressiveLatents(this.#at, this.#networks, shape);
    await progressive.start(symbols.hyperlatents);
    for (let pass = 0; pass < PASSES; pass++) {
      await progressive.startPass(pass);
      progressive.update(pass, symbols.latents);
    }
    return { latents: progressive.values(), magnitudes: this.#magnitudes(symbols.latents) };
  }

  synthesise(latents: Float32Array, [rows, columns]: Shape): Promise<Uint8Array> {
    return this.#networks.synthesise(latents, rows, columns, this.#at);
  }

  /** Magnitudes for the detail layer; without one, nothing depends on them. */
  #magnitudes(symbols: Int16Array): Uint8Array | undefined {
    return this.#at.aboveLadder ? magnitudes(symbols) : undefined;
  }

  async #hyperlatents(scaled: Float32Array, [rows, columns]: Shape): Promise<Int16Array> {
    const [high, wide] = hyperShape([rows, columns]).map((side) => side * HYPER);
    const padded = resized(scaled, [rows, columns], [high, wide]);
    const exact = await this.#networks.hyperAnalyse(padded, high, wide, this.#at);
    return Int16Array.from(exact, (value) =>
      Math.max(-HYPERLATENT_LIMIT, Math.min(HYPERLATENT_LIMIT, Math.round(value))),
    );
  }

  /** The symbols of a pass, in its order. */
  #quantized(
    pass: number,
    indices: Uint8Array,
    scaled: Float32Array,
    progressive: ProgressiveLatents,
    free: Uint8Array | undefined,
  ): Int16Array {
    const rounding = this.#rounding as Rounding;
    const symbols = new Int16Array(indices.length);
    let at = 0;
    progressive.each(pass, (channel, position, mean) => {
      if (indices[at] > 0 && !free?.[position]) {
        const value = scaled[channel * progressive.size + position] - mean;
        symbols[at] = rounding.optimised(value, indices[at]);
      }
      at++;
    });
    return symbols;
  }
}

/** The latents of one segment, filled in pass by pass; encoder and decoder make the same calls. */
class ProgressiveLatents {
  /** Positions of the segment. */
  readonly size: number;
  readonly #at: Conditioning;
  readonly #networks: Networks;
  readonly #shape: Shape;
  /** The sides made even: the networks take cells of 2x2. */
  readonly #even: Shape;
  /** (channels, even rows, even columns), decoded latents, zero where not decoded yet. */
  readonly #known: Float32Array;
  #features: Float32Array = new Float32Array(0);
  #means: Float32Array = new Float32Array(0);

  constructor(at: Conditioning, networks: Networks, shape: Shape) {
    this.size = shape[0] * shape[1];
    this.#at = at;
    this.#networks = networks;
    this.#shape = shape;
    this.#even = [shape[0] + (shape[0] % 2), shape[1] + (shape[1] % 2)];
    this.#known = new Float32Array(at.model.channels * this.#even[0] * this.#even[1]);
  }

  async start(hyperlatents: Int16Array): Promise<void> {
    const [high, wide] = hyperShape(this.#shape);
    const features = await this.#networks.hyperSynthesise(hyperlatents, high, wide, this.#at);
    this.#features = resized(features, [high * HYPER, wide * HYPER], this.#even);
  }

  /** Starts a pass, when the symbols of all passes before it are there. */
  async startPass(pass: number): Promise<void> {
    this.#means = await this.#networks.means(pass, this.#features, this.#known, ...this.#even, this.#at);
  }

  /** Calls with channel, position and mean, in quantization steps, of each symbol of a pass, in its order. */
  each(pass: number, call: (channel: number, position: number, mean: number) => void): void {
    const [rows, columns] = this.#shape;
    const wide = this.#even[1] / 2;
    const plane = (this.#even[0] / 2) * wide;
    for (const part of parts(pass, this.#at.model.channels, rows, columns)) {
      for (let channel = part.first; channel < part.first + part.channels; channel++) {
        const gain = this.#at.gain[channel];
        for (let y = 0; y < part.high; y++) {
          const from = channel * plane + y * wide;
          const to = (2 * y + part.row) * columns + part.column;
          for (let x = 0; x < part.wide; x++) {
            call(channel, to + 2 * x, this.#means[from + x] * gain);
          }
        }
      }
    }
  }

  /**
   * Adds the symbols of a pass, of planes (channels, rows, columns). The walk of `each` in full: by way of its call for
   * each symbol, decoding latents takes longer.
   */
  update(pass: number, symbols: Int16Array): void {
    const [rows, columns] = this.#shape;
    const wide = this.#even[1] / 2;
    const plane = (this.#even[0] / 2) * wide;
    for (const part of parts(pass, this.#at.model.channels, rows, columns)) {
      for (let channel = part.first; channel < part.first + part.channels; channel++) {
        const gain = this.#at.gain[channel];
        const inverse = this.#at.inverseGain[channel];
        for (let y = 0; y < part.high; y++) {
          const row = 2 * y + part.row;
          const mean = channel * plane + y * wide;
          const symbol = (channel * rows + row) * columns + part.column;
          const to = (channel * this.#even[0] + row) * this.#even[1] + part.column;
          for (let x = 0; x < part.wide; x++) {
            this.#known[to + 2 * x] = (symbols[symbol + 2 * x] + this.#means[mean + x] * gain) * inverse;
          }
        }
      }
    }
  }

  /** Decoded latents, (channels, rows, columns). */
  values(): Float32Array {
    return resized(this.#known, this.#even, this.#shape);
  }
}

/** Rows and columns of the hyperlatents of a segment. */
export function hyperShape([rows, columns]: Shape): Shape {
  return [Math.ceil(rows / HYPER), Math.ceil(columns / HYPER)];
}

function controlOf(at: Conditioning): Control {
  return at.model.control as Control;
}

/** Planes of other sides: cropped at the right and bottom, or with their last column and row repeated. */
function resized(planes: Float32Array, [rows, columns]: Shape, [high, wide]: Shape): Float32Array {
  if (high === rows && wide === columns) {
    return planes;
  }
  const count = planes.length / (rows * columns);
  const kept = Math.min(columns, wide);
  const result = new Float32Array(count * high * wide);
  for (let line = 0; line < count * high; line++) {
    const from = (Math.floor(line / high) * rows + Math.min(line % high, rows - 1)) * columns;
    const to = line * wide;
    result.set(planes.subarray(from, from + kept), to);
    result.fill(planes[from + kept - 1], to + kept, to + wide);
  }
  return result;
}
