/** Lossless coding of alpha as a PNG of 8-bit grey. */

import { hex, joined, view } from "../bytes.ts";
import { FormatError } from "../errors.ts";
import { crc32 } from "../format/crc32.ts";
import { deflate, inflateStart } from "./zlib.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const IHDR_BYTES = 13;
const SIDES = 16; // where the sides are, in the first chunk
const GREY = 0; // type of colour
// Pillow's modes, for messages: of grey by depth in bits, of others by type of colour.
const GREY_MODES: Record<number, string> = { 1: "1", 2: "L;2", 4: "L;4", 16: "I;16" };
const MODES: Record<number, string> = { 2: "RGB", 3: "P", 4: "LA", 6: "RGBA" };
// Of Adam7's passes: the first row and column, and the steps to the next.
const PASSES = [
  [0, 0, 8, 8],
  [0, 4, 8, 8],
  [4, 0, 8, 4],
  [0, 2, 4, 4],
  [2, 0, 4, 2],
  [0, 1, 2, 2],
  [1, 0, 2, 1],
];
const WHOLE = [[0, 0, 1, 1]];
const CANNOT = "alpha: not a PNG that can be read";

/**
 * Alpha, height * width, of the PNG that `encodeGrey` returned, or of another of 8-bit grey, interlaced or not.
 *
 * Chunks that the pixels do not need are not looked into.
 *
 * @throws FormatError if the data is not a complete PNG of 8-bit grey of this size.
 */
export async function decodeGrey(data: Uint8Array, height: number, width: number): Promise<Uint8Array> {
  if (SIGNATURE.some((byte, i) => data[i] !== byte) || data.length < SIDES + 8) {
    const start = hex(data.subarray(0, 8));
    throw new FormatError(`alpha: not a PNG; ${data.length} bytes start with ${start}`);
  }
  const sides = view(data);
  const [wide, high] = [sides.getUint32(SIDES), sides.getUint32(SIDES + 4)];
  if (wide !== width || high !== height) {
    throw new FormatError(`alpha: ${wide} x ${high}; ${width} x ${height} is expected`);
  }
  const { interlaced, pixels } = readChunks(data);
  const passes = (interlaced ? PASSES : WHOLE)
    .map(([top, left, down, across]) => ({
      top,
      left,
      down,
      across,
      rows: Math.ceil((height - top) / down),
      columns: Math.ceil((width - left) / across),
    }))
    .filter(({ rows, columns }) => rows > 0 && columns > 0);
  const length = passes.reduce((sum, { rows, columns }) => sum + rows * (columns + 1), 0);
  const lines = await inflateStart(pixels, length, CANNOT);
  if (lines.length < length) {
    throw new FormatError(`${CANNOT}: image file is truncated`);
  }
  const alpha = new Uint8Array(height * width);
  let position = 0;
  for (const { top, left, down, across, rows, columns } of passes) {
    const part = lines.subarray(position, position + rows * (columns + 1));
    position += part.length;
    unfilter(part, rows, columns);
    for (let row = 0; row < rows; row++) {
      let target = (top + row * down) * width + left;
      for (let i = row * (columns + 1) + 1; i < (row + 1) * (columns + 1); i++, target += across) {
        alpha[target] = part[i];
      }
    }
  }
  return alpha;
}

/** Whether a PNG's pixels are interlaced, and the zlib stream of them, as far as it is there. */
function readChunks(data: Uint8Array): { interlaced: boolean; pixels: Uint8Array } {
  const fields = view(data);
  const parts: Uint8Array[] = [];
  let interlaced = false;
  let position = SIGNATURE.length;
  while (position + 8 <= data.length) {
    const length = fields.getUint32(position);
    const name = String.fromCharCode(...data.subarray(position + 4, position + 8));
    const body = position + 8;
    const end = body + length;
    if (name === "IDAT") {
      parts.push(data.subarray(body, end));
    } else if (parts.length) {
      break;
    } else if (end + 4 > data.length) {
      throw new FormatError(`${CANNOT}: image file is truncated`);
    } else if (fields.getUint32(end) !== crc32(data.subarray(position + 4, end))) {
      throw new FormatError(`${CANNOT}: broken PNG file (bad header checksum in b'${name}')`);
    }
    if (position === SIGNATURE.length) {
      if (name !== "IHDR" || length !== IHDR_BYTES) {
        throw new FormatError(`${CANNOT}: the header is missing`);
      }
      interlaced = readHeader(data.subarray(body, end));
    }
    position = end + 4;
  }
  return { interlaced, pixels: joined(parts) };
}

/** Whether pixels are interlaced, if they are of 8-bit grey. */
function readHeader(header: Uint8Array): boolean {
  const [depth, colour, compression, filter, interlace] = header.subarray(8);
  if (colour !== GREY || depth !== 8) {
    const mode = colour === GREY ? GREY_MODES[depth] : MODES[colour];
    throw new FormatError(`alpha: mode ${mode ?? `of colours ${colour}`}; L is expected`);
  }
  if (compression || filter || interlace > 1) {
    throw new FormatError(`${CANNOT}: methods ${compression}, ${filter} and ${interlace} are not known`);
  }
  return interlace === 1;
}

/** Undo the filters of lines of bytes, each behind the type of its filter, in place. */
function unfilter(lines: Uint8Array, rows: number, columns: number): void {
  const stride = columns + 1;
  const first = new Uint8Array(stride);
  for (let row = 0; row < rows; row++) {
    const line = lines.subarray(row * stride, (row + 1) * stride);
    const above = row ? lines.subarray((row - 1) * stride, row * stride) : first;
    const type = line[0];
    if (type > 4) {
      throw new FormatError(`${CANNOT}: a filter of type ${type}; 0 to 4 are known`);
    }
    line[0] = 0; // what is left of the first pixel
    above[0] = 0;
    for (let i = 1; i < stride && type; i++) {
      line[i] += predicted(type, line[i - 1], above[i], above[i - 1]);
    }
  }
}

/** What a filter expects, of the bytes at the left, above, and above at the left. */
function predicted(type: number, left: number, above: number, corner: number): number {
  switch (type) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return (left + above) >> 1;
    default: {
      const [toLeft, toAbove] = [Math.abs(above - corner), Math.abs(left - corner)];
      const toCorner = Math.abs(left + above - 2 * corner);
      if (toLeft <= toAbove && toLeft <= toCorner) {
        return left;
      }
      return toAbove <= toCorner ? above : corner;
    }
  }
}

/** A PNG of alpha, height * width, 255 where opaque. */
export async function encodeGrey(alpha: Uint8Array, height: number, width: number): Promise<Uint8Array> {
  const header = new Uint8Array(IHDR_BYTES);
  const fields = view(header);
  fields.setUint32(0, width);
  fields.setUint32(4, height);
  header[8] = 8;
  const pixels = await deflate(filtered(alpha, height, width));
  return joined([SIGNATURE, chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", new Uint8Array())]);
}

/** Lines behind the types of their filters: of each line the one whose bytes are smallest in sum. */
function filtered(alpha: Uint8Array, height: number, width: number): Uint8Array {
  const lines = new Uint8Array(height * (width + 1));
  const tried = new Uint8Array(width);
  for (let y = 0; y < height; y++) {
    const row = alpha.subarray(y * width, (y + 1) * width);
    const above = y ? alpha.subarray((y - 1) * width, y * width) : new Uint8Array(width);
    let least = Number.POSITIVE_INFINITY;
    for (let type = 0; type <= 4 && least; type++) {
      let sum = 0;
      for (let x = 0; x < width; x++) {
        tried[x] = row[x] - predicted(type, x ? row[x - 1] : 0, above[x], x ? above[x - 1] : 0);
        sum += tried[x] < 128 ? tried[x] : 256 - tried[x];
      }
      if (sum < least) {
        least = sum;
        lines[y * (width + 1)] = type;
        lines.set(tried, y * (width + 1) + 1);
      }
    }
  }
  return lines;
}

function chunk(name: string, payload: Uint8Array): Uint8Array {
  const ends = [new Uint8Array(4), new Uint8Array(4)];
  const named = joined([Uint8Array.from(name, (character) => character.charCodeAt(0)), payload]);
  view(ends[0]).setUint32(0, payload.length);
  view(ends[1]).setUint32(0, crc32(named));
  return joined([ends[0], named, ends[1]]);
}
