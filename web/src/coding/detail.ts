/**
 * The detail layer: the residual that the latents leave, in a complete orthonormal transform.
 *
 *     encode: pixels - base -> colour rotation, 8x8 DCT -> / step -> round -> entropy code -> payload
 *     decode: payload -> entropy decode -> * step -> inverse DCT, rotation -> + base -> pixels
 *
 * It is there only above the ladder's top. Table indices come from magnitudes alone: those of the latents'
 * symbols over each block, and those of symbols of earlier passes.
 */

import { Popper, Pusher } from "../entropy/coder.ts";
import { type Control, Indices } from "../entropy/control.ts";
import * as grouped from "../entropy/grouped.ts";
import { PASSES, parts, sizeOf } from "../entropy/passes.ts";
import { POSITION_MAX } from "../format/container.ts";
import type { Conditioning } from "../models/conditioning.ts";
import { tableRow } from "../models/ladder.ts";
import type { Shape } from "./base.ts";

const BLOCK = 8;
const COLOURS = 3;
const BANDS = COLOURS * BLOCK ** 2;
// Values below become 0: the rate that is saved outweighs the distortion.
const ROUND_UP = 0.6;
const ROTATION = [
  [1, 1, 1].map((weight) => weight / Math.sqrt(3)),
  [1, 0, -1].map((weight) => weight / Math.sqrt(2)),
  [1, -2, 1].map((weight) => weight / Math.sqrt(6)),
];
/** DCT-II, orthonormal: (frequency, position). */
const COSINES = Float64Array.from({ length: BLOCK ** 2 }, (_, i) => {
  const frequency = Math.floor(i / BLOCK);
  const cosine = Math.cos((Math.PI * (2 * (i % BLOCK) + 1) * frequency) / (2 * BLOCK));
  return cosine * Math.sqrt((frequency === 0 ? 1 : 2) / BLOCK);
});
/**
 * Where each band's coefficient is in a block (colour, row frequency, column frequency). Bands are dealt out to
 * four groups by rising frequency, so that each has the same mix.
 */
const COEFFICIENTS = (() => {
  const bands = Array.from({ length: BANDS }, (_, i) => {
    const colour = Math.floor(i / BLOCK ** 2);
    return { i, colour, row: Math.floor(i / BLOCK) % BLOCK, column: i % BLOCK };
  });
  bands.sort((a, b) => a.row + a.column - b.row - b.column || a.colour - b.colour || a.row - b.row);
  const perGroup = BANDS / PASSES;
  return Uint8Array.from(
    bands,
    (_, band) => bands[Math.floor(band / perGroup) + PASSES * (band % perGroup)].i,
  );
})();

/**
 * The payload of the difference between a picture and its base.
 *
 * @param rgb the pixels, and `base` likewise; their sides are multiples of 16
 * @param magnitudes of the latents' symbols, (channels, height / 16, width / 16)
 * @param at the model at a position above the ladder's top
 */
export function encode(
  rgb: Uint8Array,
  base: Uint8Array,
  height: number,
  width: number,
  magnitudes: Uint8Array,
  at: Conditioning,
): Uint8Array {
  const { control, row, step } = settings(at);
  const shape: Shape = [height / BLOCK, width / BLOCK];
  const symbols = forward(rgb, base, shape, step);
  const indices = new Indices(control, magnitudes, [shape[0] / 2, shape[1] / 2], row, shape);
  const coded = [];
  const plane = new Int16Array(symbols.length);
  for (let pass = 0; pass < PASSES; pass++) {
    const found = ofPass(pass, symbols, shape);
    coded.push({ symbols: found, indices: indices.indices(pass) });
    indices.update(pass, grouped.nonzero(found), plane);
  }
  const pusher = new Pusher();
  for (const pass of coded.reverse()) {
    grouped.push(pusher, pass.symbols, pass.indices, control.tables);
  }
  return pusher.bytes();
}

/**
 * The mirror of `encode`: `base` and the difference in the payload.
 *
 * @throws FormatError the payload is not what `encode` gives for these arguments
 */
export function decode(
  payload: Uint8Array,
  base: Uint8Array,
  height: number,
  width: number,
  magnitudes: Uint8Array,
  at: Conditioning,
): Uint8Array {
  const shape: Shape = [height / BLOCK, width / BLOCK];
  return backward(decodeSymbols(payload, shape, magnitudes, at), base, shape, settings(at).step);
}

/**
 * The symbols of a payload, (192, rows of blocks, columns of blocks).
 *
 * @throws FormatError the payload is not what `encode` gives for these arguments
 */
export function decodeSymbols(
  payload: Uint8Array,
  shape: Shape,
  magnitudes: Uint8Array,
  at: Conditioning,
): Int16Array {
  const { control, row } = settings(at);
  const popper = new Popper(payload);
  const indices = new Indices(control, magnitudes, [shape[0] / 2, shape[1] / 2], row, shape);
  const symbols = new Int16Array(BANDS * shape[0] * shape[1]);
  for (let pass = 0; pass < PASSES; pass++) {
    indices.update(pass, grouped.pop(popper, indices.indices(pass), control.tables), symbols);
  }
  popper.finish();
  return symbols;
}

/** What `decode` gives for the payload of `encode`, without entropy coding. */
export function reconstruct(
  rgb: Uint8Array,
  base: Uint8Array,
  height: number,
  width: number,
  at: Conditioning,
): Uint8Array {
  const { step } = settings(at);
  const shape: Shape = [height / BLOCK, width / BLOCK];
  return backward(forward(rgb, base, shape, step), base, shape, step);
}

/** The symbols of a pass, in its order, of planes (192, rows, columns). */
export function ofPass(pass: number, planes: Int16Array, [rows, columns]: Shape): Int16Array {
  const channels = planes.length / (rows * columns);
  const all = parts(pass, channels, rows, columns);
  const found = new Int16Array(all.reduce((sum, part) => sum + sizeOf(part), 0));
  let to = 0;
  for (const part of all) {
    for (let channel = part.first; channel < part.first + part.channels; channel++) {
      for (let y = part.row; y < rows; y += 2) {
        for (let x = part.column; x < columns; x += 2) {
          found[to++] = planes[(channel * rows + y) * columns + x];
        }
      }
    }
  }
  return found;
}

/** Entropy control, its row and the quantization step. */
function settings(at: Conditioning): { control: Control; row: number; step: number } {
  const { detail, detailLogStep, manifest } = at.model;
  const control = detail as Control; // of an architecture that has the layer
  const row = tableRow(at.position, control.rows, POSITION_MAX, manifest.ladder_top);
  const share = (at.position - manifest.ladder_top) / (POSITION_MAX - manifest.ladder_top);
  const [first, last] = detailLogStep;
  return { control, row, step: Math.exp(first + (last - first) * share) };
}

/** Symbols of the difference of pixels and base. */
function forward(rgb: Uint8Array, base: Uint8Array, [rows, columns]: Shape, step: number): Int16Array {
  const symbols = new Int16Array(BANDS * rows * columns);
  const block = new Float64Array(BANDS);
  const turned = new Float64Array(BANDS);
  for (let position = 0; position < rows * columns; position++) {
    eachPixel(position, columns, (pixel, inBlock) => {
      for (let colour = 0; colour < COLOURS; colour++) {
        let sum = 0;
        for (let channel = 0; channel < COLOURS; channel++) {
          sum += ROTATION[colour][channel] * (rgb[pixel + channel] - base[pixel + channel]);
        }
        block[colour * BLOCK ** 2 + inBlock] = sum;
      }
    });
    transform(block, turned, false);
    transform(turned, block, false);
    for (let band = 0; band < BANDS; band++) {
      const value = block[COEFFICIENTS[band]] / step;
      symbols[band * rows * columns + position] =
        Math.sign(value) * Math.floor(Math.abs(value) + (1 - ROUND_UP));
    }
  }
  return symbols;
}

/** The inverse of `forward`: pixels. */
function backward(symbols: Int16Array, base: Uint8Array, [rows, columns]: Shape, step: number): Uint8Array {
  const pixels = new Uint8Array(base.length);
  const block = new Float64Array(BANDS);
  const turned = new Float64Array(BANDS);
  for (let position = 0; position < rows * columns; position++) {
    for (let band = 0; band < BANDS; band++) {
      block[COEFFICIENTS[band]] = symbols[band * rows * columns + position] * step;
    }
    transform(block, turned, true);
    transform(turned, block, true);
    eachPixel(position, columns, (pixel, inBlock) => {
      for (let channel = 0; channel < COLOURS; channel++) {
        let value = base[pixel + channel];
        for (let colour = 0; colour < COLOURS; colour++) {
          value += ROTATION[colour][channel] * block[colour * BLOCK ** 2 + inBlock];
        }
        pixels[pixel + channel] = Math.max(0, Math.min(255, Math.round(value)));
      }
    });
  }
  return pixels;
}

/** Calls with the offset of each pixel of a block, in rgb, and with that in the block. */
function eachPixel(position: number, columns: number, call: (pixel: number, inBlock: number) => void): void {
  const width = columns * BLOCK;
  const top = Math.floor(position / columns) * BLOCK;
  const left = (position % columns) * BLOCK;
  for (let i = 0; i < BLOCK ** 2; i++) {
    call(((top + Math.floor(i / BLOCK)) * width + left + (i % BLOCK)) * COLOURS, i);
  }
}

/** The DCT, or its inverse, of the rows of three blocks, which are transposed: two calls make both directions. */
function transform(blocks: Float64Array, turned: Float64Array, inverse: boolean): void {
  const [across, along] = inverse ? [1, BLOCK] : [BLOCK, 1];
  for (let line = 0; line < COLOURS * BLOCK; line++) {
    const from = line * BLOCK;
    const to = Math.floor(line / BLOCK) * BLOCK ** 2 + (line % BLOCK);
    for (let i = 0; i < BLOCK; i++) {
      let sum = 0;
      for (let j = 0; j < BLOCK; j++) {
        sum += COSINES[i * across + j * along] * blocks[from + j];
      }
      turned[to + i * BLOCK] = sum;
    }
  }
}
