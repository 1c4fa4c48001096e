/**
 * The lossless layer: pixels of a segment that are not left to the latents, as a WebP.
 *
 * Text, drawings and other synthetic content take fewer bytes without loss than latents, which ring around its
 * edges. The layer keeps blocks of such content and leaves the others out. Latents are then coded of a picture
 * in which the kept blocks continue their surroundings smoothly.
 *
 * encode: pixels, which of them are kept -> WebP
 * decode: WebP -> kept pixels over those decoded so far
 */

import { allOf, grown, spread } from "../picture/masks.ts";
import * as webp from "../picture/webp.ts";

const BLOCK = 8; // pixels a side that are kept or left out together
const BLOCK_PIXELS = BLOCK * BLOCK;
const CELL = 64; // pixels a side of what the first look judges by
const ROWS = 8; // of a cell, that the first look takes: every eighth
// Of a block with text: the share of pixels that equal one beside them, and the levels of an edge.
const ALIKE_IN_INK = 0.35;
const EDGE = 32;
// Of a block with mostly synthetic ones around it: the same share, and that of the colour of a corner.
const ALIKE_BESIDE_INK = 0.15;
const ONE_COLOUR = 0.8;
// Of a cell with text, by some of its rows: the share of pixels that equal the one before, and of edges.
const ALIKE_IN_CELL = 0.6;
const EDGES_IN_CELL = 0.04;
const LEAST_CELLS = 1 / 32; // of a segment, that look synthetic
// Of its blocks: the least share for a layer with holes, for one without beside it, and for one without alone.
const LEAST_BLOCKS = 1 / 64;
const MOST_OF_ALL = 0.75;
const ALMOST_ALL = 0.98;
const FEW = 256; // colours
const FEW_GREYS = 64;
const FIELD = "lossless layer";
const SAMPLES = 40; // a side, of the pixels whose colours are counted

/** The lossless layer of a segment. */
export interface LosslessLayer {
  /** The WebP. */
  payload: Uint8Array;
  /** Mask of the pixels that it keeps. */
  kept: Uint8Array;
  /** Of the segment, in pixels. */
  height: number;
  width: number;
}

/** Whether a layer keeps all pixels, so that the segment needs no latents. */
export function covering(layer: LosslessLayer): boolean {
  return !layer.kept.includes(0);
}

/** Mask of the latents that only kept pixels depend on, ceil(height / stride) * ceil(width / stride). */
export function free({ kept, height, width }: LosslessLayer, stride: number): Uint8Array {
  const [high, wide] = [Math.ceil(height / stride), Math.ceil(width / stride)];
  const others = allOf(kept, height, width, stride).map((one) => 1 - one);
  const bound = grown(others, high, wide);
  // What is beyond the segment may matter: latents at its edges are not free.
  return bound.map((one, i) => {
    const [row, column] = [Math.floor(i / wide), i % wide];
    const inside = row > 0 && row < high - 1 && column > 0 && column < wide - 1;
    return inside && !one ? 1 : 0;
  });
}

/**
 * The layers that are worth a comparison with the latents of a segment; for photographs none.
 *
 * @param rgb Its pixels, height * width * 3.
 * @param hidden Mask of pixels whose colours do not matter, since they are transparent.
 */
export async function candidates(
  rgb: Uint8Array,
  hidden: Uint8Array | undefined,
  height: number,
  width: number,
): Promise<LosslessLayer[]> {
  const shown = hidden ? rgb.map((level, i) => (hidden[Math.floor(i / 3)] ? 0 : level)) : rgb;
  const few = hasFewColours(shown, height, width);
  if (!few && !hasText(shown, height, width)) {
    return [];
  }
  const blocks = syntheticBlocks(shown, height, width);
  const share = blocks.reduce((sum, one) => sum + one, 0) / blocks.length;
  const found: LosslessLayer[] = [];
  if (LEAST_BLOCKS <= share && share < ALMOST_ALL && !few) {
    const kept = spread(blocks, height, width, BLOCK);
    found.push({ payload: await webp.encode(shown, kept, height, width, webp.USUAL), kept, height, width });
  }
  if (share >= MOST_OF_ALL || few) {
    const kept = new Uint8Array(height * width).fill(1);
    found.push({ payload: await webp.encode(shown, kept, height, width, webp.USUAL), kept, height, width });
  }
  return found;
}

/**
 * Whether a layer has no holes, so that the segment has no latents.
 *
 * @throws FormatError if the payload does not start like a lossless WebP.
 */
export function covers(payload: Uint8Array): boolean {
  return !webp.readStart(payload, FIELD).hasHoles;
}

/**
 * The colours of a segment and the mask of its pixels that are kept.
 *
 * @throws FormatError if the payload is not a lossless WebP of this size.
 */
export function decode(payload: Uint8Array, height: number, width: number): Promise<webp.Decoded> {
  return webp.decode(payload, height, width, FIELD);
}

/** Whether there are cells of text or lines, by every eighth row: photographs are not to pay for more. */
function hasText(rgb: Uint8Array, height: number, width: number): boolean {
  const wide = Math.ceil((width - 1) / CELL);
  const size = Math.ceil(Math.ceil(height / ROWS) / ROWS) * wide;
  const pixels = new Uint32Array(size);
  const alike = new Uint32Array(size);
  const edges = new Uint32Array(size);
  for (let y = 0, row = 0; y < height; y += ROWS, row++) {
    let i = 3 * y * width + 1;
    for (let x = 0; x < width - 1; x++, i += 3) {
      const cell = Math.floor(row / ROWS) * wide + Math.floor(x / CELL);
      const step = (rgb[i + 3] - rgb[i]) & 0xff; // modulo 256, which is enough to tell edges
      pixels[cell]++;
      alike[cell] += step === 0 ? 1 : 0;
      edges[cell] += step >= EDGE && step <= 256 - EDGE ? 1 : 0;
    }
  }
  let ink = 0;
  let all = 0;
  for (let cell = 0; cell < size; cell++) {
    all += pixels[cell];
    if (alike[cell] >= ALIKE_IN_CELL * pixels[cell] && edges[cell] >= EDGES_IN_CELL * pixels[cell]) {
      ink += pixels[cell];
    }
  }
  return ink > 0 && ink >= LEAST_CELLS * all;
}

/** Whether a palette would do, by some pixels; a grey photograph has at most 256 greys in any case. */
function hasFewColours(rgb: Uint8Array, height: number, width: number): boolean {
  const [down, across] = [height, width].map((side) => Math.max(1, Math.floor(side / SAMPLES)));
  const some = new Set<number>();
  let samples = 0;
  for (let y = 0; y < height; y += down) {
    for (let x = 0; x < width; x += across, samples++) {
      some.add(packed(rgb, 3 * (y * width + x)));
    }
  }
  if (some.size > Math.min(FEW, samples / 4)) {
    return false;
  }
  return some.size <= FEW_GREYS || ![...some].every((colour) => colour === (colour & 0xff) * 0x010101);
}

/** The colour at a position of the samples as one number. */
function packed(rgb: Uint8Array, i: number): number {
  return rgb[i] | (rgb[i + 1] << 8) | (rgb[i + 2] << 16);
}

/** Blocks of one colour, or of text and lines, ceil(height / 8) * ceil(width / 8), without single ones. */
function syntheticBlocks(rgb: Uint8Array, height: number, width: number): Uint8Array {
  const [high, wide] = [Math.ceil(height / BLOCK), Math.ceil(width / BLOCK)];
  const [rows, columns] = [high * BLOCK, wide * BLOCK];
  const colours = new Uint32Array(rows * columns);
  for (let y = 0, i = 0; y < rows; y++) {
    const row = Math.min(y, height - 1) * width;
    for (let x = 0; x < columns; x++, i++) {
      colours[i] = packed(rgb, 3 * (row + Math.min(x, width - 1)));
    }
  }
  let synthetic = new Uint8Array(high * wide);
  const likely = new Uint8Array(high * wide);
  for (let block = 0; block < synthetic.length; block++) {
    const [top, left] = [Math.floor(block / wide) * BLOCK, (block % wide) * BLOCK];
    const { oneColour, alike, edge } = judged(colours, rows, columns, top, left);
    const ink = edge >= EDGE;
    synthetic[block] = oneColour === 1 || (ink && alike >= ALIKE_IN_INK) ? 1 : 0;
    likely[block] = oneColour >= ONE_COLOUR || (ink && alike >= ALIKE_BESIDE_INK) ? 1 : 0;
  }
  for (let round = 0; round < 2; round++) {
    synthetic = settled(synthetic, likely, high, wide);
  }
  return synthetic;
}

/** What tells a block's kind. */
interface Judged {
  /** The share of pixels of the colour of a corner, of that corner that has most. */
  oneColour: number;
  /** The share of pixels that equal one of the four beside them, some of which are of other blocks. */
  alike: number;
  /** The largest step between neighbours in green, in levels. */
  edge: number;
}

function judged(colours: Uint32Array, rows: number, columns: number, top: number, left: number): Judged {
  const first = top * columns + left;
  const [right, down] = [BLOCK - 1, (BLOCK - 1) * columns];
  const corners = [first, first + right, first + down, first + down + right].map((i) => colours[i]);
  const counts = [0, 0, 0, 0];
  let alike = 0;
  let edge = 0;
  for (let y = top; y < top + BLOCK; y++) {
    for (let x = left, i = y * columns + x; x < left + BLOCK; x++, i++) {
      const colour = colours[i];
      for (let corner = 0; corner < 4; corner++) {
        counts[corner] += colour === corners[corner] ? 1 : 0;
      }
      const across = (x > 0 && colours[i - 1] === colour) || (x < columns - 1 && colours[i + 1] === colour);
      if (
        across ||
        (y > 0 && colours[i - columns] === colour) ||
        (y < rows - 1 && colours[i + columns] === colour)
      ) {
        alike++;
      }
      const green = (colour >> 8) & 0xff;
      if (x > left) {
        edge = Math.max(edge, Math.abs(green - ((colours[i - 1] >> 8) & 0xff)));
      }
      if (y > top) {
        edge = Math.max(edge, Math.abs(green - ((colours[i - columns] >> 8) & 0xff)));
      }
    }
  }
  return { oneColour: Math.max(...counts) / BLOCK_PIXELS, alike: alike / BLOCK_PIXELS, edge };
}

/** Synthetic blocks by those around them; beyond the segment are the nearest ones within. */
function settled(
  synthetic: Uint8Array,
  likely: Uint8Array,
  high: number,
  wide: number,
): Uint8Array<ArrayBuffer> {
  const found = new Uint8Array(synthetic.length);
  for (let y = 0, i = 0; y < high; y++) {
    const rows = [Math.max(y - 1, 0), y, Math.min(y + 1, high - 1)];
    for (let x = 0; x < wide; x++, i++) {
      const columns = [Math.max(x - 1, 0), x, Math.min(x + 1, wide - 1)];
      let count = -synthetic[i];
      for (const row of rows) {
        for (const column of columns) {
          count += synthetic[row * wide + column];
        }
      }
      found[i] = (synthetic[i] && count >= 3) || (likely[i] && count >= 5) || count >= 6 ? 1 : 0;
    }
  }
  return found;
}
