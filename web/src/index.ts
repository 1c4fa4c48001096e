/**
 * caesura in the browser: decodes and encodes .cae files in a Web Worker.
 *
 *     import { decode, encode } from "caesura";
 *     const picture = await decode(await (await fetch("photo.cae")).arrayBuffer());
 *     const file = await encode(picture, { bytes: 30_000 });
 */

import { CaesuraError, ConfigError, ImageError, toError } from "./errors.ts";
import * as container from "./format/container.ts";
import * as packed from "./format/metadata.ts";
import type { Answer, Request } from "./messages.ts";
import type {
  Capabilities,
  Configuration,
  DecodeOptions,
  EncodeOptions,
  Header,
  Metadata,
} from "./options.ts";
import type { Part } from "./tiles/decoder.ts";

export * from "./errors.ts";
export type * from "./options.ts";

/** A call that waits for its answers. */
interface Waiting {
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
  /** Takes answers before the last. */
  part: (answer: Answer) => void;
}

const MOST_THREADS = 8;

/** What the worker is started with. */
type Start = Extract<Request, { kind: "start" }>;

let start: Start | undefined;
let worker: Worker | undefined;
let calls = 0;
const waiting = new Map<number, Waiting>();

/**
 * Sets where models and runtime are found, and what they run on.
 *
 * @throws ConfigError something was loaded already, or a value is not allowed
 */
export function configure(given: Configuration): void {
  if (worker !== undefined) {
    throw new ConfigError(
      "configure was called after the worker had started; before the first call is allowed",
    );
  }
  start = startOf(given);
}

/**
 * Loads what decoding or encoding with the first model needs, ahead of the first call, and runs it for a second or two,
 * after which browsers run it faster.
 *
 * @returns what it runs on
 * @throws ModelError it cannot be fetched
 */
export async function load(use: "decode" | "encode" = "decode"): Promise<Capabilities> {
  const answer = await call({ kind: "load", id: ++calls, use });
  return (answer as Extract<Answer, { kind: "loaded" }>).capabilities;
}

/**
 * The picture of a .cae file: 8-bit RGBA, not premultiplied, in the colours that the file holds; its ICC profile
 * and EXIF's orientation (`readMetadata`) are not applied.
 *
 * @throws FormatError one of its kinds, if the bytes are not an undamaged .cae file
 * @throws ModelError the model that coded the file is not there
 */
export async function decode(
  data: Uint8Array | ArrayBuffer | Blob,
  options: DecodeOptions = {},
): Promise<ImageData> {
  const { scale = 1, maxPixels = container.MAX_PIXELS, signal, onPreview, onPart } = options;
  if (scale !== 1 && scale !== 8) {
    throw new ConfigError(`scale is ${scale}; 1 and 8 are allowed`);
  }
  const bytes = data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : bytesOf(data);
  const previews = onPreview !== undefined;
  const parts = onPart !== undefined;
  const request: Request = { kind: "decode", id: ++calls, data: bytes, scale, maxPixels, previews, parts };
  const last = await call(request, signal, (answer) => {
    if (answer.kind === "preview") {
      const { left, top, scale } = answer.part;
      onPreview?.(imageOf(answer.part), left, top, scale);
    } else if (answer.kind === "part") {
      onPart?.(imageOf(answer.part), answer.part.left, answer.part.top);
    }
  });
  return imageOf((last as Extract<Answer, { kind: "decoded" }>).picture);
}

/**
 * The .cae file of a picture; grey if all its pixels are. Viewers take its colours for sRGB unless `metadata` has an
 * ICC profile.
 *
 * @throws ConfigError an option is out of range, or no quality gives a file that small
 * @throws ModelError the model is not there
 * @throws LimitError the picture is too large
 */
export async function encode(
  image: ImageData,
  options: EncodeOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, onProgress, ...rest } = options;
  const { data: rgba, height, width } = Object(image) as ImageData;
  if (!(rgba instanceof Uint8ClampedArray)) {
    throw new ImageError("picture: samples are not of 8 bits; an ImageData of 8 bits is allowed");
  }
  const request: Request = { kind: "encode", id: ++calls, rgba, height, width, options: rest };
  const answer = await call(request, signal, (part) => {
    if (part.kind === "progress") {
      onProgress?.(part.share);
    }
  });
  return (answer as Extract<Answer, { kind: "encoded" }>).file;
}

/**
 * The header of a file, checked; its first 32 bytes are enough.
 *
 * @throws FormatError one of its kinds, if the bytes are not the start of a .cae file
 */
export function readHeader(data: Uint8Array | ArrayBuffer): Header {
  return container.readHeader(bytesOf(data), container.MAX_PIXELS);
}

/**
 * The metadata of a file.
 *
 * @throws FormatError one of its kinds, if the bytes are not an undamaged .cae file
 */
export async function readMetadata(data: Uint8Array | ArrayBuffer): Promise<Metadata> {
  return packed.unpack(container.read(bytesOf(data), container.MAX_PIXELS).metadata);
}

/** Sends a request to the worker, and waits for the result. */
async function call(
  request: Exclude<Request, { kind: "start" | "abort" }>,
  signal?: AbortSignal,
  part: (answer: Answer) => void = () => {},
): Promise<Answer> {
  signal?.throwIfAborted();
  const started = begin();
  let abort = () => {};
  try {
    return await new Promise<Answer>((resolve, reject) => {
      abort = () => {
        started.postMessage({ kind: "abort", id: request.id } satisfies Request);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort);
      waiting.set(request.id, { resolve, reject, part });
      started.postMessage(request);
    });
  } finally {
    signal?.removeEventListener("abort", abort);
    waiting.delete(request.id);
  }
}

/** The worker, started by the first call. */
function begin(): Worker {
  if (worker === undefined) {
    start ??= startOf({});
    const url = new URL("./worker.js", import.meta.url);
    worker = new Worker(url, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => take(data);
    worker.onmessageerror = () => fail(new CaesuraError("an answer of the worker cannot be read"));
    worker.onerror = ({ message }) =>
      fail(
        new CaesuraError(
          `the worker ${url.href} cannot be started, or go on${message ? `: ${message}` : ""}`,
        ),
      );
    worker.postMessage(start);
  }
  return worker;
}

function startOf({ models, runtime, threads, webgpu = true }: Configuration): Start {
  const here = new URL("./", import.meta.url);
  const most = Math.min(navigator.hardwareConcurrency, MOST_THREADS);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new ConfigError(`threads is ${threads}; an integer of 1 or more is allowed`);
  }
  const folder = runtime === undefined ? here.href : folderOf("runtime", runtime);
  return {
    kind: "start",
    models: models === undefined ? new URL("models/", here).href : folderOf("models", models),
    runtime: { folder, threads: threads ?? most, webgpu },
  };
}

/** The address of a folder, which ends with a slash. */
function folderOf(field: string, given: string | URL): string {
  if (!URL.canParse(given, document.baseURI)) {
    throw new ConfigError(`${field} is ${JSON.stringify(String(given))}; the address of a folder is allowed`);
  }
  const { href } = new URL(given, document.baseURI);
  return href.endsWith("/") ? href : `${href}/`;
}

function take(answer: Answer): void {
  const one = waiting.get(answer.id);
  if (answer.kind === "preview" || answer.kind === "part" || answer.kind === "progress") {
    one?.part(answer);
  } else if (answer.kind === "error") {
    one?.reject(toError(answer.error));
    if (answer.fatal) {
      fail(toError(answer.error));
    }
  } else {
    one?.resolve(answer);
  }
}

/** Ends all calls; the next one starts another worker. */
function fail(error: Error): void {
  worker?.terminate();
  worker = undefined;
  for (const one of waiting.values()) {
    one.reject(error);
  }
}

function imageOf({ rgba, width, height }: Part): ImageData {
  return new ImageData(rgba, width, height);
}

/** The bytes, in a buffer of about their own size: a worker is sent all of it. */
function bytesOf(data: Uint8Array | ArrayBuffer): Uint8Array {
  if (data instanceof Uint8Array) {
    return data.byteLength < data.buffer.byteLength / 2 ? data.slice() : data;
  }
  if (data instanceof ArrayBuffer) {
    return new Uint8Array(data);
  }
  throw new TypeError(`data is ${typeof data}; Uint8Array, ArrayBuffer and Blob are allowed`);
}
