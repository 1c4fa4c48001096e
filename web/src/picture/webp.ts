/**
 * Lossless coding of colours as a WebP, which may have holes: pixels that are left out, of alpha 0.
 *
 * By libwebp, which is loaded when it is first used.
 */

import { hex, view } from "../bytes.ts";
import { CaesuraError, FormatError } from "../errors.ts";

// RIFF, its length, WEBP, VP8L, its length, 0x2f, 14 bits of width - 1 and of height - 1, alpha, version.
const START_BYTES = 25;
const MARK = 0x2f;
/** libwebp's methods, the second some times as slow as the first. */
export const FAST = 4;
export const USUAL = 5;
const OPAQUE = 255;

/** What the first bytes of a file say. */
export interface Start {
  /** In pixels. */
  width: number;
  height: number;
  /** Whether there are pixels left out. */
  hasHoles: boolean;
}

/**
 * The start of a file that `encode` returned; pixels are not looked at.
 *
 * @param field What errors name.
 * @throws FormatError if it is not that of a lossless WebP of as many bytes, with nothing but one picture.
 */
export function readStart(data: Uint8Array, field: string): Start {
  if (data.length < START_BYTES) {
    throw new FormatError(`${field}: ${data.length} bytes; a lossless WebP has at least ${START_BYTES}`);
  }
  const fields = view(data);
  const name = (offset: number) => String.fromCharCode(...data.subarray(offset, offset + 4));
  const bits = fields.getUint32(21, true);
  const names = name(0) === "RIFF" && name(8) === "WEBP" && name(12) === "VP8L";
  if (!names || data[20] !== MARK || bits >>> 29) {
    const start = hex(data.subarray(0, START_BYTES));
    throw new FormatError(`${field}: starts with ${start}; a lossless WebP (VP8L) is allowed`);
  }
  const length = fields.getUint32(4, true);
  const inner = fields.getUint32(16, true);
  if (length !== data.length - 8 || inner + (inner % 2) !== data.length - 20) {
    throw new FormatError(`${field}: a WebP of ${length + 8} bytes in ${data.length} bytes`);
  }
  return {
    width: (bits & 0x3fff) + 1,
    height: ((bits >>> 14) & 0x3fff) + 1,
    hasHoles: bits >>> 28 === 1,
  };
}

/** Decoded colours, height * width * 3, and the mask of pixels that are no holes. */
export interface Decoded {
  rgb: Uint8Array;
  kept: Uint8Array;
}

/**
 * The picture of a file that `encode` returned.
 *
 * @param field What errors name.
 * @throws FormatError if the data is not a complete lossless WebP of one picture of this size, if it has alpha
 *   other than 0 and 255, or alpha without a hole.
 * @throws CaesuraError if libwebp cannot be loaded.
 */
export async function decode(
  data: Uint8Array,
  height: number,
  width: number,
  field: string,
): Promise<Decoded> {
  const start = readStart(data, field);
  if (start.width !== width || start.height !== height) {
    throw new FormatError(`${field}: ${start.width} x ${start.height}; ${width} x ${height} is expected`);
  }
  const rgba = await decodeRgba(data, field);
  const rgb = new Uint8Array(height * width * 3);
  const kept = new Uint8Array(height * width).fill(1);
  for (let i = 0; i < kept.length; i++) {
    rgb[3 * i] = rgba[4 * i];
    rgb[3 * i + 1] = rgba[4 * i + 1];
    rgb[3 * i + 2] = rgba[4 * i + 2];
  }
  if (start.hasHoles) {
    takeHoles(rgba, kept, field);
  }
  return { rgb, kept };
}

async function decodeRgba(data: Uint8Array, field: string): Promise<Uint8ClampedArray> {
  const decoder = await decoding.instance();
  let picture: ImageData | null;
  try {
    picture = decoder.decode(data);
  } catch (error) {
    throw new FormatError(`${field}: not a WebP that can be read: ${reason(error)}`);
  }
  if (!picture) {
    throw new FormatError(`${field}: not a WebP that can be read: failed to read next frame`);
  }
  return picture.data;
}

function takeHoles(rgba: Uint8ClampedArray, kept: Uint8Array, field: string): void {
  let other: number | undefined;
  for (let i = 0; i < kept.length; i++) {
    const alpha = rgba[4 * i + 3];
    if (alpha !== OPAQUE) {
      kept[i] = 0;
      other ??= alpha || undefined;
    }
  }
  if (!kept.includes(0)) {
    throw new FormatError(`${field}: alpha is 255 throughout; a WebP without alpha is allowed`);
  }
  if (other !== undefined) {
    throw new FormatError(`${field}: alpha is ${other}; 0 and 255 are allowed`);
  }
}

/**
 * A lossless WebP file.
 *
 * @param rgb The colours, height * width * 3.
 * @param kept Mask of where there is no hole; everywhere if undefined.
 * @param method FAST or USUAL.
 * @throws CaesuraError if libwebp cannot be loaded, or runs out of memory.
 */
export async function encode(
  rgb: Uint8Array,
  kept: Uint8Array | undefined,
  height: number,
  width: number,
  method = FAST,
): Promise<Uint8Array> {
  const rgba = new Uint8ClampedArray(height * width * 4);
  for (let i = 0; i < height * width; i++) {
    if (!kept || kept[i]) {
      rgba[4 * i] = rgb[3 * i];
      rgba[4 * i + 1] = rgb[3 * i + 1];
      rgba[4 * i + 2] = rgb[3 * i + 2];
      rgba[4 * i + 3] = OPAQUE;
    }
  }
  const encoder = await encoding.instance();
  const coded = encoder.encode(rgba, width, height, { ...LOSSLESS, method });
  if (!coded) {
    throw new CaesuraError(`${width} x ${height} pixels: libwebp cannot encode them`);
  }
  return coded;
}

// All of libwebp's settings, which have no defaults here; those of lossy coding have no effect.
const LOSSLESS = {
  lossless: 1,
  exact: 1,
  quality: 100,
  near_lossless: 100,
  target_size: 0,
  target_PSNR: 0,
  sns_strength: 0,
  filter_strength: 0,
  filter_sharpness: 0,
  filter_type: 0,
  partitions: 0,
  segments: 1,
  pass: 1,
  show_compressed: 0,
  preprocessing: 0,
  autofilter: 0,
  partition_limit: 0,
  alpha_compression: 1,
  alpha_filtering: 1,
  alpha_quality: 100,
  image_hint: 0,
  emulate_jpeg_size: 0,
  thread_level: 0,
  low_memory: 0,
  use_delta_palette: 0,
  use_sharp_yuv: 0,
};

interface Decoder {
  decode(data: Uint8Array): ImageData | null;
}

interface Encoder {
  encode(data: Uint8ClampedArray, width: number, height: number, options: object): Uint8Array | null;
}

/** Emscripten's function that makes an instance. */
type Factory<Instance> = (options: object) => Promise<Instance>;

type Read = (file: URL) => Promise<BufferSource>;

/** A part of libwebp: its glue code and its compiled code, both loaded once. */
class Library<Instance> {
  #loaded: Promise<[Factory<Instance>, WebAssembly.Module]> | undefined;
  readonly #file: string;
  readonly #factory: () => Promise<Factory<Instance>>;

  constructor(file: string, factory: () => Promise<Factory<Instance>>) {
    this.#file = file;
    this.#factory = factory;
  }

  /**
   * An instance for one picture. What a hostile file does to its memory ends with it, and memory that it took
   * is given back.
   */
  async instance(): Promise<Instance> {
    this.#loaded ??= this.#load();
    const [factory, module] = await this.#loaded;
    try {
      return await started(factory, module);
    } catch (error) {
      throw new CaesuraError(`${this.#file} cannot be started: ${reason(error)}`);
    }
  }

  /** Load it anew when it is next used. */
  forget(): void {
    this.#loaded = undefined;
  }

  async #load(): Promise<[Factory<Instance>, WebAssembly.Module]> {
    const url = new URL(this.#file, runtime ?? import.meta.url);
    try {
      return await Promise.all([this.#factory(), readRuntime(url).then((code) => WebAssembly.compile(code))]);
    } catch (error) {
      this.forget();
      throw new CaesuraError(`${url} cannot be loaded: ${reason(error)}`);
    }
  }
}

function started<Instance>(factory: Factory<Instance>, module: WebAssembly.Module): Promise<Instance> {
  return new Promise((resolve, reject) => {
    // Emscripten does not hear of a failure here, and would wait for ever.
    const instantiateWasm = (
      imports: WebAssembly.Imports,
      receive: (instance: WebAssembly.Instance) => void,
    ) => {
      WebAssembly.instantiate(module, imports).then(receive).catch(reject);
      return {};
    };
    factory({ instantiateWasm, printErr: () => {} }).then(resolve, reject);
  });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const decoding = new Library<Decoder>(
  "webp_dec.wasm",
  async () => (await import("@jsquash/webp/codec/dec/webp_dec.js")).default as never,
);
const encoding = new Library<Encoder>(
  "webp_enc.wasm",
  async () => (await import("@jsquash/webp/codec/enc/webp_enc.js")).default as never,
);

let runtime: URL | undefined;
let readRuntime: Read = fetched;

/**
 * Tell where libwebp's files are: beside this module unless told.
 *
 * @param folder With webp_dec.wasm and webp_enc.wasm; its path ends with a slash.
 * @param read What reads a file of it; `fetch` unless given.
 */
export function useRuntime(folder: URL, read: Read = fetched): void {
  runtime = folder;
  readRuntime = read;
  decoding.forget();
  encoding.forget();
}

async function fetched(file: URL): Promise<BufferSource> {
  const response = await fetch(file);
  if (!response.ok) {
    throw new Error(`status ${response.status}`);
  }
  return response.arrayBuffer();
}
