/** ICC profile, EXIF and XMP as bytes, and as they are stored in a .cae file. */

import { ConfigError } from "../errors.ts";
import type { Metadata } from "../options.ts";
import { deflate, inflate } from "../picture/zlib.ts";

/** Of each kind of metadata. */
export const MAX_BYTES = 2 ** 24;

/** Metadata whose values are zlib streams, as stored. */
export type PackedMetadata = Metadata;

/**
 * The metadata as a .cae file stores it.
 *
 * @throws ConfigError if one is no Uint8Array of 1 to MAX_BYTES bytes.
 */
export function pack(metadata: Metadata): Promise<PackedMetadata> {
  return each(metadata, (name, content) => {
    if (!(content instanceof Uint8Array) || content.length < 1 || content.length > MAX_BYTES) {
      const got = content instanceof Uint8Array ? `${content.length} bytes` : typeof content;
      throw new ConfigError(`${name} is ${got}; a Uint8Array of 1 to ${MAX_BYTES} bytes is allowed`);
    }
    return deflate(content);
  });
}

/**
 * The metadata that `pack` compressed, each kind at most MAX_BYTES.
 *
 * @throws FormatError if one is not one complete zlib stream of at least one byte.
 * @throws LimitError if a result is longer than MAX_BYTES.
 */
export function unpack(packed: PackedMetadata): Promise<Metadata> {
  return each(packed, (name, stored) => inflate(stored, MAX_BYTES, name));
}

async function each(
  metadata: Metadata,
  change: (name: string, content: Uint8Array) => Promise<Uint8Array>,
): Promise<Metadata> {
  const changed: Metadata = {};
  // One after the other: errors are those of the first.
  for (const name of ["icc", "exif", "xmp"] as const) {
    const content = metadata[name];
    if (content !== undefined) {
      changed[name] = await change(name, content);
    }
  }
  return changed;
}
