/**
 * Clipped areas: where a photograph is pure white or pure black, the decoder makes it so.
 *
 * Decoded latents miss 255 and 0 by a level or more in some pixels, mostly beside edges. A segment with large
 * areas of either has a map of them, a cell for each few pixels a side. Around finely mapped areas, pixels that
 * come within a few levels are set to white or black as well, so that white reaches up to the objects on it.
 *
 * encode: pixels -> cells that are all white or all black -> map -> WebP, with its cells' side and the margin
 * decode: payload -> map -> pixels of its cells set, and those around them that come close
 */

import { hex, joined } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { allOf, grown, spread } from "../picture/masks.ts";
import * as webp from "../picture/webp.ts";

/** Of a cell, in pixels. */
const SIDES = [1, 2, 4, 8, 16];
const WITH_MARGIN = 4; // the side of cells around which a margin is set
const MARGINS = [25, 15, 5, 3]; // levels from white or black that are tried; nobody sees the last
const LEAST_MARGIN = 3;
const FINE_MARGIN = 5;
const MAX_MARGIN = 63;
const BLACK = 0;
const NEITHER = 128;
const WHITE = 255;
// Clipped areas are large if this share of a segment's squares of as many pixels a side is white or black.
const LARGE = 32;
const LEAST_SHARE = 1 / 16;
// The map's bytes at most, as a share of the segment's.
const MOST_BYTES = 1 / 8;
// Beside clipped areas, content is faint if it is further than this from white or black, in levels, and no
// edge of as many levels hides it; a margin may reach this share of the pixels there.
const UNSEEN = LEAST_MARGIN;
const EDGE = 64;
const MOST_TOUCHED = 1e-3;

/**
 * The payload of the clipped areas of a segment.
 *
 * @param rgb Its pixels, height * width * 3.
 * @param payloadBytes Of its latents.
 * @param fine There is a detail layer, after which pixels are off by a few levels at most.
 * @returns undefined if the areas are too small, or their map takes too many bytes.
 */
export async function encode(
  rgb: Uint8Array,
  height: number,
  width: number,
  payloadBytes: number,
  fine: boolean,
): Promise<Uint8Array | undefined> {
  if (!hasLargeAreas(rgb, height, width)) {
    return undefined;
  }
  let margin = marginOf(rgb, height, width);
  const faint = margin === LEAST_MARGIN;
  if (fine) {
    margin = faint ? 0 : Math.min(margin, FINE_MARGIN);
  }
  // Finer cells make up for a small margin.
  for (const side of faint ? SIDES : SIDES.filter((one) => one >= WITH_MARGIN)) {
    const cells = cellsOf(rgb, height, width, side);
    const map = new Uint8Array(3 * cells.length);
    for (let i = 0; i < map.length; i++) {
      map[i] = cells[Math.floor(i / 3)];
    }
    const coded = await webp.encode(map, undefined, Math.ceil(height / side), Math.ceil(width / side));
    if (coded.length <= MOST_BYTES * payloadBytes) {
      return joined([Uint8Array.of(side, side <= WITH_MARGIN ? margin : 0), coded]);
    }
  }
  return undefined;
}

/**
 * Decoded pixels, height * width * 3, with the payload's areas white and black. Of a grey picture, all three
 * colours are its grey.
 *
 * @throws FormatError if the payload is not what `encode` gives for a segment of this size.
 */
export async function apply(
  payload: Uint8Array,
  rgb: Uint8Array,
  height: number,
  width: number,
): Promise<Uint8Array> {
  const { cells, side, margin } = await decode(payload, height, width);
  const result = rgb.slice();
  for (const value of [WHITE, BLACK]) {
    const area = cells.map((cell) => (cell === value ? 1 : 0));
    const near = grown(area, Math.ceil(height / side), Math.ceil(width / side));
    // 1: as far as pixels come close, 2: in any case
    const where = spread(
      near.map((one, i) => one + area[i]),
      height,
      width,
      side,
    );
    for (let i = 0; i < where.length; i++) {
      if (where[i] === 2 || (where[i] === 1 && distance(rgb, i, value) <= margin)) {
        result.fill(value, 3 * i, 3 * i + 3);
      }
    }
  }
  return result;
}

/**
 * `apply` to a preview of a segment of height x width, reducedHeight * reducedWidth * 3.
 *
 * A pixel is white or black if all that it stands for is.
 *
 * @param scale By which sides are divided, and rounded up.
 * @throws FormatError if the payload is not what `encode` gives for a segment of this size.
 */
export async function applyReduced(
  payload: Uint8Array,
  rgb: Uint8Array,
  reducedHeight: number,
  reducedWidth: number,
  height: number,
  width: number,
  scale: number,
): Promise<Uint8Array> {
  const { cells, side } = await decode(payload, height, width);
  const result = rgb.slice(0, 3 * reducedHeight * reducedWidth);
  for (const value of [WHITE, BLACK]) {
    const area = cells.map((cell) => (cell === value ? 1 : 0));
    allOf(spread(area, height, width, side), height, width, scale).forEach((whole, i) => {
      if (whole) {
        result.fill(value, 3 * i, 3 * i + 3);
      }
    });
  }
  return result;
}

/** How far a pixel is from a value, by the colour that is furthest, in levels. */
function distance(rgb: Uint8Array, pixel: number, value: number): number {
  const [red, green, blue] = [rgb[3 * pixel], rgb[3 * pixel + 1], rgb[3 * pixel + 2]];
  return Math.max(Math.abs(red - value), Math.abs(green - value), Math.abs(blue - value));
}

interface Clipped {
  /** The map: WHITE, BLACK or NEITHER. */
  cells: Uint8Array;
  /** Of a cell, in pixels. */
  side: number;
  /** In levels. */
  margin: number;
}

async function decode(payload: Uint8Array, height: number, width: number): Promise<Clipped> {
  const [side, margin] = payload;
  if (payload.length < 2 || !SIDES.includes(side) || margin > MAX_MARGIN) {
    const got = `it starts with ${hex(payload.subarray(0, 2)) || "nothing"}`;
    const allowed = `a side of ${SIDES.join(", ")} and a margin up to ${MAX_MARGIN} are allowed`;
    throw new FormatError(`clipped areas: ${got}; ${allowed}`);
  }
  const [high, wide] = [Math.ceil(height / side), Math.ceil(width / side)];
  const { rgb, kept } = await webp.decode(payload.subarray(2), high, wide, "clipped areas");
  const cells = kept.map((one, i) => {
    const [red, green, blue] = [rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]];
    const grey = red === green && red === blue;
    if (!one || !grey || (red !== BLACK && red !== NEITHER && red !== WHITE)) {
      const cell = `(${red}, ${green}, ${blue})`;
      throw new FormatError(`clipped areas: a cell is ${cell}; 0, 128 and 255 are allowed, opaque and grey`);
    }
    return red;
  });
  return { cells, side, margin };
}

/** Whether clipped areas are large, by some rows first: photographs are not to pay for more. */
function hasLargeAreas(rgb: Uint8Array, height: number, width: number): boolean {
  let some = 0;
  let all = 0;
  for (let y = 0; y < height; y += 8) {
    for (let i = y * width; i < (y + 1) * width; i++) {
      const value = rgb[3 * i];
      if (value === WHITE || value === BLACK) {
        some += distance(rgb, i, value) ? 0 : 1;
      }
    }
    all += width;
  }
  if (some / all < LEAST_SHARE) {
    return false;
  }
  const squares = cellsOf(rgb, height, width, LARGE);
  return squares.filter((cell) => cell !== NEITHER).length / squares.length >= LEAST_SHARE;
}

/** The map: cells whose pixels are all white, all black, or neither. */
function cellsOf(rgb: Uint8Array, height: number, width: number, side: number): Uint8Array {
  const wide = Math.ceil(width / side);
  const cells = new Uint8Array(Math.ceil(height / side) * wide).fill(NEITHER);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y / side) * wide;
    for (let x = 0; x < width; x++, i++) {
      const cell = row + Math.floor(x / side);
      if (y % side === 0 && x % side === 0) {
        cells[cell] = rgb[3 * i];
      }
      if (cells[cell] !== NEITHER && distance(rgb, i, cells[cell])) {
        cells[cell] = NEITHER;
      }
    }
  }
  return cells.map((cell) => (cell === WHITE || cell === BLACK ? cell : NEITHER));
}

/** The largest margin that leaves what is faint beside white or black in the original as it is. */
function marginOf(rgb: Uint8Array, height: number, width: number): number {
  const cells = cellsOf(rgb, height, width, WITH_MARGIN);
  // How many pixels around white or black are as many levels from it.
  const counts = new Uint32Array(256);
  for (const value of [WHITE, BLACK]) {
    countFaint(rgb, cells, height, width, value, counts);
  }
  const all = counts.reduce((sum, count) => sum + count, 0);
  for (const margin of MARGINS) {
    // Decoded pixels are off by some levels: what is just beyond the margin may come within it.
    const touched = counts.slice(UNSEEN + 1, margin + Math.floor(margin / 4) + 1);
    if (touched.reduce((sum, count) => sum + count, 0) <= MOST_TOUCHED * all) {
      return margin;
    }
  }
  return LEAST_MARGIN;
}

/** Count how far pixels around areas of a value are from it; 0 beside edges, which hide it. */
function countFaint(
  rgb: Uint8Array,
  cells: Uint8Array,
  height: number,
  width: number,
  value: number,
  counts: Uint32Array,
): void {
  const mapped = cells.map((cell) => (cell === value ? 1 : 0));
  const near = grown(mapped, Math.ceil(height / WITH_MARGIN), Math.ceil(width / WITH_MARGIN));
  const ring = spread(
    near.map((one, i) => one - mapped[i]),
    height,
    width,
    WITH_MARGIN,
  );
  const away = ring.map((_, i) => distance(rgb, i, value));
  const edges = away.map((levels) => (levels >= EDGE ? 1 : 0));
  const hidden = grown(grown(edges, height, width), height, width);
  for (let i = 0; i < ring.length; i++) {
    if (ring[i]) {
      counts[hidden[i] ? 0 : away[i]]++;
    }
  }
}
