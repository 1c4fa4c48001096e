/**
 * Encode and decode, as the worker runs them.
 *
 *     encode: pixels -> segments of the picture -> container -> bytes
 *     decode: bytes -> container -> segments -> pixels
 */

import { ConfigError, LimitError } from "./errors.ts";
import * as container from "./format/container.ts";
import * as metadata from "./format/metadata.ts";
import { Conditioning } from "./models/conditioning.ts";
import { DEFAULT_QUALITY, positionOf } from "./models/ladder.ts";
import { type Model, PREVIEW_SCALE } from "./models/model.ts";
import type { Store, Stored } from "./models/store.ts";
import type { EncodeOptions, Header } from "./options.ts";
import { cleared } from "./picture/clear.ts";
import { reduced } from "./picture/reduce.ts";
import { search, usualQuality } from "./ratecontrol/search.ts";
import { type Load, Networks } from "./runtime/networks.ts";
import { Decoder, type Part } from "./tiles/decoder.ts";
import { type Analysis, analysis, encode as encodeSegments } from "./tiles/encoder.ts";
import { chooseCells } from "./tiles/grid.ts";
import { Layers } from "./tiles/layers.ts";
import { inverted, LosslessChoice } from "./tiles/lossless.ts";
import { type Picture, pictureOf } from "./tiles/picture.ts";

// Side of the picture, in pixels, and ladder position that `#warmUp` runs, and for how long it does, in ms.
const SIDE = 256;
const WARM_UP = 4000;
const WARM_UP_TIME = 1500;
// Hundredths between the ladder positions that latents are made for while a size is searched.
const SPACING = 1000;

/** What `decode` calls and is told. */
export interface Decoding {
  scale: 1 | 8;
  maxPixels: number;
  onPreview: ((part: Part) => void) | undefined;
  onPart: ((part: Part) => void) | undefined;
  /** Awaited between segments; it may throw to end decoding. */
  pause: () => Promise<void>;
}

/** What `encode` is told, besides the options that can be sent to a worker. */
export interface Encoding {
  options: Omit<EncodeOptions, "signal" | "onProgress">;
  /** Awaited between segments, with the share that is done; it may throw to end encoding. */
  pause: (share: number) => Promise<void>;
}

/** The codec with its models and the runtime of its networks. */
export class Codec {
  readonly #store: Store;
  readonly #loadGraph: Load;
  readonly #networks = new Map<Model, Networks>();
  readonly #warm = new Set<"decode" | "encode">();

  constructor(store: Store, load: Load) {
    this.#store = store;
    this.#loadGraph = load;
  }

  /**
   * Loads what decoding or encoding with the first model needs, and the first time runs it on a small picture:
   * browsers make WebAssembly and JavaScript fast only once they have run for a while.
   */
  async load(use: "decode" | "encode"): Promise<void> {
    if (!this.#warm.has(use)) {
      await this.#warmUp(use);
      this.#warm.add(use);
    }
  }

  async #warmUp(use: "decode" | "encode"): Promise<void> {
    const stored = await this.#store.byName();
    const header = { modelId: 0, channels: 3, ladderPosition: WARM_UP, cells: 4, width: SIDE, height: SIDE };
    const { coder, grid } = this.#layers(header, stored, WARM_UP);
    const shape = [grid.rows, grid.columns] as const;
    const pixels = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (i * i) >> 8);
    const run = async () =>
      use === "encode"
        ? coder.encode(await coder.analyse(pixels, SIDE, SIDE), shape, undefined)
        : coder.synthesise((await coder.decode(new Uint8Array(), shape)).latents, shape);
    await run(); // which loads the networks
    for (const end = performance.now() + WARM_UP_TIME; performance.now() < end; ) {
      await run();
    }
  }

  /** The picture of a file, or at scale 8 a preview of it. */
  async decode(data: Uint8Array, decoding: Decoding): Promise<Part> {
    const { header, segments, metadata: kept } = container.read(data, decoding.maxPixels);
    await metadata.unpack(kept); // damage is reported wherever it is
    const stored = await this.#store.byId(header.modelId);
    const layers = this.#layers(header, stored, header.ladderPosition);
    const decoder = new Decoder(layers, segments, decoding.pause);
    if (decoder.hasPreview && (decoding.scale === PREVIEW_SCALE || decoding.onPreview !== undefined)) {
      const whole = decoding.scale === PREVIEW_SCALE ? emptyPicture(header, PREVIEW_SCALE) : undefined;
      for await (const part of decoder.previews()) {
        if (whole !== undefined && part.scale === whole.scale) {
          insert(part, whole);
        }
        decoding.onPreview?.(part);
      }
      if (whole !== undefined) {
        return whole;
      }
    }
    const picture = emptyPicture(header, 1);
    for await (const part of decoder.parts()) {
      insert(part, picture);
      decoding.onPart?.(part);
    }
    return decoding.scale === PREVIEW_SCALE ? small(picture) : picture;
  }

  /** The file of a picture, RGBA. */
  async encode(
    rgba: Uint8ClampedArray,
    height: number,
    width: number,
    { options, pause }: Encoding,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (options.quality !== undefined && options.bytes !== undefined) {
      throw new ConfigError("quality and bytes are both given; one of them is allowed");
    }
    const stored = await this.#store.byName(options.model);
    const picture = shown(pictureOf(rgba, height, width), options.exact ?? false);
    const { manifest } = stored.model;
    const packed = await metadata.pack(options.metadata ?? {});
    const header: Header = {
      modelId: manifest.id,
      channels: picture.channels,
      ladderPosition: container.POSITION_MIN,
      cells: chooseCells(height, width),
      width,
      height,
    };
    container.checkHeader(header, container.MAX_PIXELS);
    const choice = new LosslessChoice(picture, options.exact ?? false, options.bytes !== undefined);
    let trials = 0;
    // How many trials a size takes is not known: each takes half of what is left.
    const paused = (share: number) =>
      pause(options.bytes === undefined ? share : 1 - 0.5 ** (trials + share));
    const file = async (position: number, analyse?: Analysis): Promise<Uint8Array<ArrayBuffer>> => {
      const layers = this.#layers(header, stored, position);
      const stages = { layers, analyse: analyse ?? analysis(layers), choice, pause: paused };
      const segments = await encodeSegments(picture, stages);
      trials++;
      return container.write(layers.header, segments, packed, container.MAX_PIXELS);
    };
    if (options.bytes === undefined) {
      return file(positionOf(options.quality ?? DEFAULT_QUALITY, manifest.quality_scale));
    }
    const start = positionOf(usualQuality(options.bytes, height * width), manifest.quality_scale);
    const cached = this.#cachedAnalysis(picture, header, stored);
    return search(options.bytes, (position) => file(position, cached(position)), start, manifest.ladder_top);
  }

  /**
   * The analysis at the nearest of a few ladder positions, whose latents the trials of a search share; twice as
   * far between these costs 1% of the bytes.
   */
  #cachedAnalysis(picture: Picture, header: Header, stored: Stored): (position: number) => Analysis {
    const top = stored.model.manifest.ladder_top;
    const kept = new Map<number, Float32Array>();
    let keptAt = 0;
    return (position) => {
      const near = Math.min(
        Math.max(Math.round(Math.min(position, top) / SPACING) * SPACING, container.POSITION_MIN),
        top,
      );
      if (near !== keptAt) {
        kept.clear();
        keptAt = near;
      }
      const analyse = analysis(this.#layers(header, stored, near));
      return async (given, segment) => {
        if (given !== picture) {
          return analyse(given, segment); // with lossless layers, which each trial chooses
        }
        const latents = kept.get(segment.number) ?? (await analyse(given, segment));
        kept.set(segment.number, latents);
        return latents;
      };
    };
  }

  #layers(header: Header, stored: Stored, position: number): Layers {
    const at = new Conditioning(stored.model, position);
    return new Layers({ ...header, ladderPosition: position }, at, this.#of(stored));
  }

  #of({ model, encoding }: Stored): Networks {
    let networks = this.#networks.get(model);
    if (networks === undefined) {
      networks = new Networks(model, this.#loadGraph, encoding);
      this.#networks.set(model, networks);
    }
    return networks;
  }
}

/** The picture with a smooth continuation of the colours under fully transparent pixels, unless they matter. */
function shown(picture: Picture, exact: boolean): Picture {
  const { rgb, alpha, height, width } = picture;
  if (exact || alpha === undefined) {
    return picture;
  }
  const hidden = alpha.map((value) => (value === 0 ? 1 : 0));
  return hidden.includes(1) ? { ...picture, rgb: cleared(rgb, inverted(hidden), height, width) } : picture;
}

/** A picture of a header's sides at a scale, still empty. */
function emptyPicture(header: Header, scale: number): Part {
  const [height, width] = [Math.ceil(header.height / scale), Math.ceil(header.width / scale)];
  try {
    return { scale, left: 0, top: 0, height, width, rgba: new Uint8ClampedArray(height * width * 4) };
  } catch {
    throw new LimitError(`header: ${width} x ${height} pixels need more memory than this browser gives`);
  }
}

/** Copies a part to where it belongs. */
function insert(part: Part, picture: Part): void {
  for (let y = 0; y < part.height; y++) {
    const line = part.rgba.subarray(y * part.width * 4, (y + 1) * part.width * 4);
    picture.rgba.set(line, ((part.top + y) * picture.width + part.left) * 4);
  }
}

/** A picture at an eighth of its sides, colours weighted by their opacity. */
function small({ rgba, height, width }: Part): Part {
  const size = height * width;
  const rgb = Uint8Array.from({ length: 3 * size }, (_, i) => rgba[Math.floor(i / 3) * 4 + (i % 3)]);
  const alpha = Uint8Array.from({ length: size }, (_, i) => rgba[4 * i + 3]);
  const result = reduced(rgb, alpha, height, width, PREVIEW_SCALE);
  const [high, wide] = [Math.ceil(height / PREVIEW_SCALE), Math.ceil(width / PREVIEW_SCALE)];
  const pixels = Uint8ClampedArray.from({ length: high * wide * 4 }, (_, i) =>
    i % 4 === 3 ? result.weight[i >> 2] : result.rgb[(i >> 2) * 3 + (i % 4)],
  );
  return { scale: PREVIEW_SCALE, left: 0, top: 0, height: high, width: wide, rgba: pixels };
}
