/** caesura in the browser: decodes and encodes .cae files in a Web Worker. */

import type {
  Capabilities,
  Configuration,
  DecodeOptions,
  EncodeOptions,
  Header,
  Metadata,
} from "./options.ts";

export * from "./errors.ts";
export type * from "./options.ts";

/** Sets where models and runtime are found; before the first call of anything else. */
export function configure(_given: Configuration): void {
  throw new Error("not there yet");
}

/** Loads what decoding or encoding needs ahead of the first call; tells what it runs on. */
export async function load(_use: "decode" | "encode" = "decode"): Promise<Capabilities> {
  throw new Error("not there yet");
}

/** The picture of a .cae file, 8-bit RGBA, not premultiplied, in the colours that the file holds. */
export async function decode(
  _data: Uint8Array | ArrayBuffer | Blob,
  _options: DecodeOptions = {},
): Promise<ImageData> {
  throw new Error("not there yet");
}

/** The .cae file of a picture. */
export async function encode(_image: ImageData, _options: EncodeOptions = {}): Promise<Uint8Array> {
  throw new Error("not there yet");
}

/** The header of a file, checked; the first 32 bytes are enough. */
export function readHeader(_data: Uint8Array | ArrayBuffer): Header {
  throw new Error("not there yet");
}

/** The metadata of a file. */
export async function readMetadata(_data: Uint8Array | ArrayBuffer): Promise<Metadata> {
  throw new Error("not there yet");
}
