/**
 * Chunks, which a .cae file is made of, and the variable-length integers in them (docs/FORMAT.md).
 *
 * chunk: type (1 byte) | length (varint) | payload | CRC-32 of all three (4 bytes, little-endian)
 */

import { hex, joined, view } from "../bytes.ts";
import {
  ChecksumError,
  FormatError,
  LimitError,
  SignatureError,
  TruncatedError,
  VersionError,
} from "../errors.ts";
import type { Metadata } from "../options.ts";
import { crc32 } from "./crc32.ts";

export const SIGNATURE = Uint8Array.of(0x89, 0x43, 0x41, 0x45);
export const VERSION = 1;
export const HEADER = 0x48;
/** Names of a segment's layers. */
export type LayerName = "lossless" | "clipped" | "latents" | "detail" | "alpha";
/** Layers of a segment, by the types of their chunks, in the order of these. */
export const LAYERS: ReadonlyMap<number, LayerName> = new Map<number, LayerName>([
  [0x57, "lossless"],
  [0x43, "clipped"],
  [0x4c, "latents"],
  [0x44, "detail"],
  [0x41, "alpha"],
]);
/** Kinds of metadata, by the types of their chunks. */
export const METADATA: ReadonlyMap<number, keyof Metadata> = new Map<number, keyof Metadata>([
  [0x69, "icc"],
  [0x65, "exif"],
  [0x78, "xmp"],
]);
const MAX_LENGTH = 2 ** 32;
const CRC_BYTES = 4;

/** A chunk of a file. */
export interface Chunk {
  /** The type. */
  kind: number;
  /** Offset of the chunk in the file. */
  start: number;
  /** Offset of its payload. */
  body: number;
  /** Offset of what follows its payload. */
  end: number;
}

/** A chunk's type as messages have it: Python's `repr` of the character. */
export function shown(kind: number): string {
  const escapes: Record<number, string> = { 9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\" };
  if (kind === 0x27) {
    return `"'"`;
  }
  const printable = (kind >= 0x20 && kind < 0x7f) || (kind > 0xa0 && kind !== 0xad);
  const code = `\\x${kind.toString(16).padStart(2, "0")}`;
  return `'${escapes[kind] ?? (printable ? String.fromCharCode(kind) : code)}'`;
}

/**
 * The chunks of a file, in order; their checksums are not checked yet.
 *
 * @throws FormatError, one of its kinds, if the file starts otherwise or ends within a chunk.
 */
export function* read(data: Uint8Array): Generator<Chunk> {
  const start = data.subarray(0, SIGNATURE.length);
  if (data.length === 0 || start.some((byte, i) => byte !== SIGNATURE[i])) {
    const found = hex(start) || "nothing";
    throw new SignatureError(`the file starts with ${found}; a .cae starts with 89 43 41 45`);
  }
  let position = SIGNATURE.length + 1;
  if (data.length < position) {
    throw new TruncatedError(`the file ends after ${data.length} bytes, within the signature and version`);
  }
  if (data[position - 1] !== VERSION) {
    const known = `version ${VERSION} is known here`;
    throw new VersionError(`the file has format version ${data[position - 1]}; ${known}`);
  }
  while (position < data.length) {
    const chunk = readAt(data, position);
    yield chunk;
    position = chunk.end + CRC_BYTES;
  }
}

function readAt(data: Uint8Array, start: number): Chunk {
  const kind = data[start];
  const [length, body] = readVarint(data, start + 1, `chunk ${shown(kind)}: length`);
  if (length > MAX_LENGTH) {
    throw new LimitError(`chunk ${shown(kind)}: length is ${length}; at most ${MAX_LENGTH} is allowed`);
  }
  const end = body + length;
  if (end + CRC_BYTES > data.length) {
    const missing = end + CRC_BYTES - data.length;
    throw new TruncatedError(`the file ends within chunk ${shown(kind)}: ${missing} bytes are missing`);
  }
  return { kind, start, body, end };
}

/**
 * The payload of a chunk of a file, a view, after its checksum was checked.
 *
 * @throws ChecksumError if the chunk was damaged.
 */
export function verified(data: Uint8Array, { kind, start, body, end }: Chunk): Uint8Array {
  if (crc32(data.subarray(start, end)) !== view(data).getUint32(end, true)) {
    const found = `chunk ${shown(kind)} at byte ${start}`;
    throw new ChecksumError(`${found} does not match its checksum: it was damaged`);
  }
  return data.subarray(body, end);
}

/** A chunk: type, length, payload (of one or more parts), checksum. */
export function write(kind: number, ...payload: Uint8Array[]): Uint8Array {
  const length = payload.reduce((sum, part) => sum + part.length, 0);
  const chunk = joined([Uint8Array.of(kind), varint(length), ...payload, new Uint8Array(CRC_BYTES)]);
  const end = chunk.length - CRC_BYTES;
  view(chunk).setUint32(end, crc32(chunk.subarray(0, end)), true);
  return chunk;
}

/** LEB128 of 0 to 2^32: seven bits a byte, low bits first, the top bit set on all bytes but the last. */
export function varint(value: number): Uint8Array {
  const groups: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) {
    groups.push((left % 0x80) | 0x80);
  }
  return Uint8Array.of(...groups, left);
}

/**
 * The value at `position` and the position behind it; five bytes at most, the shortest form only.
 *
 * @throws FormatError, one of its kinds, naming the field.
 */
export function readVarint(
  data: Uint8Array,
  position: number,
  field: string,
  end = data.length,
): [value: number, position: number] {
  let value = 0;
  for (let count = 0; count < 5; count++) {
    if (position + count >= end) {
      throw new TruncatedError(`${field}: the data ends within the number`);
    }
    const byte = data[position + count];
    value += (byte & 0x7f) * 2 ** (7 * count); // up to 35 bits
    if (byte < 0x80) {
      if (byte === 0 && count) {
        throw new FormatError(`${field}: the number is not in its shortest form`);
      }
      return [value, position + count + 1];
    }
  }
  throw new LimitError(`${field}: the number has more than 5 bytes`);
}
