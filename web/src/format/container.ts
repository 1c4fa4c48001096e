/**
 * The .cae file, version 1, as docs/FORMAT.md specifies it: signature, version, then chunks.
 *
 *     89 43 41 45 | version | chunk ...
 *
 * `checkHeader` is the one validator, of reader and writer alike.
 */

import { joined, view } from "../bytes.ts";
import { ConfigError, FormatError, LimitError, TruncatedError } from "../errors.ts";
import type { Header } from "../options.ts";
import * as chunks from "./chunks.ts";
import { type Chunk, HEADER, LAYERS, type LayerName, METADATA, shown } from "./chunks.ts";
import type { PackedMetadata } from "./metadata.ts";

export const MAX_SIDE = 2 ** 20;
/** Default of the argument of that name. */
export const MAX_PIXELS = 2 ** 28;
/** Of the ladder, in hundredths. */
export const POSITION_MIN = 100;
export const POSITION_MAX = 10000;
/** A segment's side: pixels of a cell, cells at most. */
export const CELL = 64;
export const MAX_CELLS = 32;
const FIXED_BYTES = 8; // of the header's fields before its sides
const CAPITAL_A = 0x41;
const CAPITAL_Z = 0x5a;

/** The data of one segment, each layer as it is coded; what is not there is missing. */
export type SegmentData = { [Name in LayerName]?: Uint8Array };

/** A file's content. */
export interface Contents {
  header: Header;
  /** Row after row, each from left to right. */
  segments: SegmentData[];
  metadata: PackedMetadata;
}

/** Number of segments of a picture. */
export function segmentCount({ cells, width, height }: Header): number {
  const side = cells * CELL;
  return Math.ceil(width / side) * Math.ceil(height / side);
}

/**
 * Check every field.
 *
 * @throws LimitError if a side or the number of pixels is out of bounds.
 * @throws FormatError if another field has a value that is not allowed.
 * @throws ConfigError if `maxPixels` is not an integer of 1 or more.
 */
export function checkHeader(header: Header, maxPixels = MAX_PIXELS): void {
  const { modelId, channels, ladderPosition, cells, width, height } = header;
  if (!(Number.isInteger(maxPixels) && maxPixels >= 1)) {
    throw new ConfigError(`maxPixels is ${maxPixels}; an integer of 1 or more is allowed`);
  }
  if (!(modelId >= 0 && modelId < 2 ** 32)) {
    throw new FormatError(`header: model id is ${modelId}; 32 bits are allowed`);
  }
  if (![1, 2, 3, 4].includes(channels)) {
    const allowed = "1 (grey) and 3 (RGB) are allowed, one more with transparency";
    throw new FormatError(`header: channels is ${channels}; ${allowed}`);
  }
  if (!(ladderPosition >= POSITION_MIN && ladderPosition <= POSITION_MAX)) {
    const allowed = `${POSITION_MIN} to ${POSITION_MAX} hundredths are allowed`;
    throw new FormatError(`header: ladder position is ${ladderPosition}; ${allowed}`);
  }
  if (!(cells >= 1 && cells <= MAX_CELLS)) {
    const allowed = `1 to ${MAX_CELLS} of ${CELL} pixels are allowed`;
    throw new FormatError(`header: segments have ${cells} cells a side; ${allowed}`);
  }
  for (const [name, side] of Object.entries({ width, height })) {
    if (!(side >= 1 && side <= MAX_SIDE)) {
      throw new LimitError(`header: ${name} is ${side}; 1 to ${MAX_SIDE} pixels are allowed`);
    }
  }
  if (width * height > maxPixels) {
    const pixels = `${width} x ${height} = ${width * height}`;
    throw new LimitError(`header: the picture has ${pixels} pixels; max_pixels allows ${maxPixels}`);
  }
}

/**
 * The file of a header, all segments and metadata.
 *
 * @throws FormatError if the header does not pass `checkHeader`.
 */
export function write(
  header: Header,
  segments: readonly SegmentData[],
  metadata: PackedMetadata = {},
  maxPixels = MAX_PIXELS,
): Uint8Array<ArrayBuffer> {
  checkHeader(header, maxPixels);
  const parts: Uint8Array[] = [chunks.SIGNATURE, Uint8Array.of(chunks.VERSION), writeHeader(header)];
  for (const [kind, name] of METADATA) {
    const content = metadata[name];
    if (content) {
      parts.push(chunks.write(kind, content));
    }
  }
  segments.forEach((segment, number) => {
    for (const [kind, name] of LAYERS) {
      const content = segment[name];
      if (content) {
        parts.push(chunks.write(kind, chunks.varint(number), content));
      }
    }
  });
  return joined(parts);
}

function writeHeader(header: Header): Uint8Array {
  const fixed = new Uint8Array(FIXED_BYTES);
  const fields = view(fixed);
  fields.setUint32(0, header.modelId, true);
  fields.setUint8(4, header.channels);
  fields.setUint16(5, header.ladderPosition, true);
  fields.setUint8(7, header.cells);
  return chunks.write(HEADER, fixed, chunks.varint(header.width), chunks.varint(header.height));
}

/**
 * Read and check the header of a file, or of the start of one; the chunks behind it are not looked at.
 *
 * @param maxPixels Refuse files that claim more.
 * @throws FormatError, one of its kinds, for each way in which the bytes are not the start of a .cae file.
 */
export function readHeader(data: Uint8Array, maxPixels = MAX_PIXELS): Header {
  return takeHeader(data, chunks.read(data).next().value, maxPixels);
}

/**
 * The content of a file. Layers and metadata are views of `data`.
 *
 * @param maxPixels Refuse files that claim more.
 * @throws FormatError, one of its kinds, for each way in which the bytes are not a .cae file.
 */
export function read(data: Uint8Array, maxPixels = MAX_PIXELS): Contents {
  const parts = chunks.read(data);
  const header = takeHeader(data, parts.next().value, maxPixels);
  const reading = new Reading(header);
  const metadata: PackedMetadata = {};
  for (const chunk of parts) {
    const payload = chunks.verified(data, chunk);
    const layer = LAYERS.get(chunk.kind);
    const name = METADATA.get(chunk.kind);
    if (layer) {
      reading.take(chunk.kind, layer, payload);
    } else if (chunk.kind === HEADER || (name && name in metadata)) {
      throw new FormatError(`chunk ${shown(chunk.kind)} comes twice; once is allowed`);
    } else if (name) {
      metadata[name] = payload;
    } else if (chunk.kind >= CAPITAL_A && chunk.kind <= CAPITAL_Z) {
      const found = `chunk type 0x${chunk.kind.toString(16)}`;
      throw new FormatError(`${found} is needed to decode the file and not known here`);
    }
  }
  return { header, segments: reading.finish(), metadata };
}

function takeHeader(data: Uint8Array, chunk: Chunk | undefined, maxPixels: number): Header {
  if (!chunk) {
    throw new TruncatedError("the file ends before the header chunk");
  }
  const payload = chunks.verified(data, chunk);
  if (chunk.kind !== HEADER) {
    const kind = `0x${chunk.kind.toString(16).padStart(2, "0")}`;
    throw new FormatError(`the first chunk has type ${kind}; the header, 0x48, must come first`);
  }
  if (payload.length < FIXED_BYTES) {
    throw new FormatError(`header: ${payload.length} bytes; at least ${FIXED_BYTES + 2} are needed`);
  }
  const [width, behind] = chunks.readVarint(payload, FIXED_BYTES, "header: width");
  const [height, position] = chunks.readVarint(payload, behind, "header: height");
  if (position !== payload.length) {
    throw new FormatError(`header: ${payload.length} bytes; ${position} are used`);
  }
  const fields = view(payload);
  const header: Header = {
    modelId: fields.getUint32(0, true),
    channels: fields.getUint8(4),
    ladderPosition: fields.getUint16(5, true),
    cells: fields.getUint8(7),
    width,
    height,
  };
  checkHeader(header, maxPixels);
  return header;
}

const ORDER = [...LAYERS.values()];
const LATENTS_PLACE = ORDER.indexOf("latents");

/** Segments whose chunks are read. */
class Reading {
  private readonly segments: SegmentData[] = [];
  /** Where the last chunk of the last segment stands in the order of layers. */
  private last = -1;
  private readonly count: number;

  constructor(header: Header) {
    this.count = segmentCount(header);
  }

  /** Add a layer to its segment: the last one, or the next. */
  take(kind: number, layer: LayerName, payload: Uint8Array): void {
    const { segments, count } = this;
    const place = ORDER.indexOf(layer);
    const [number, start] = chunks.readVarint(payload, 0, `chunk ${shown(kind)}: segment`);
    const same = segments.length > 0 && number === segments.length - 1 && place > this.last;
    const begins = place <= LATENTS_PLACE && !same;
    const expected = begins ? segments.length : segments.length - 1;
    if (expected < 0) {
      throw new FormatError(`chunk ${shown(kind)} comes before any latents`);
    }
    if (number !== expected) {
      throw new FormatError(`chunk ${shown(kind)} is of segment ${number}; ${expected} is next`);
    }
    if (number >= count) {
      throw new FormatError(`chunk ${shown(kind)} is of segment ${number}; the picture has ${count}`);
    }
    if (begins) {
      this.checkWhole();
      segments.push({});
      this.last = -1;
    }
    if (place === this.last) {
      throw new FormatError(`chunk ${shown(kind)} of segment ${number} comes twice; once is allowed`);
    }
    if (place < this.last) {
      const behind = `comes behind its ${ORDER[this.last]}; before is allowed`;
      throw new FormatError(`chunk ${shown(kind)} of segment ${number} ${behind}`);
    }
    this.last = place;
    segments[number][layer] = payload.subarray(start);
  }

  /** All segments, if they are complete. */
  finish(): SegmentData[] {
    if (this.segments.length < this.count) {
      throw new TruncatedError(`the file ends after ${this.segments.length} of ${this.count} segments`);
    }
    this.checkWhole();
    return this.segments;
  }

  /** Check that the last segment has latents, or a lossless layer instead. */
  private checkWhole(): void {
    const segment = this.segments.at(-1);
    if (segment && !segment.latents && !segment.lossless) {
      const layers = Object.keys(segment).join(" and ");
      throw new TruncatedError(`segment ${this.segments.length - 1} has ${layers}, and no latents`);
    }
  }
}
