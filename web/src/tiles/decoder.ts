/**
 * Segments to a picture, from top to bottom; the mirror of `encoder`.
 *
 *     segment -> latents -> window across segments -> pixels, detail layer, clipped areas, lossless layer
 *             -> transparency -> rows
 */

import * as cae2026 from "../coding/cae2026.ts";
import * as clipped from "../coding/clipped.ts";
import * as detail from "../coding/detail.ts";
import * as lossless from "../coding/lossless.ts";
import * as preview from "../coding/preview.ts";
import { FormatError } from "../errors.ts";
import type { SegmentData } from "../format/container.ts";
import { COARSE_SCALE, PREVIEW_SCALE } from "../models/model.ts";
import * as png from "../picture/png.ts";
import { reduced } from "../picture/reduce.ts";
import { type Area, length, merged, type Segment, USUAL_CELLS } from "./grid.ts";
import { cropped, type Layers } from "./layers.ts";

/** A rectangle of a picture. */
export interface Part {
  /** Pixels of the picture for one of these, each way. */
  scale: number;
  left: number;
  top: number;
  height: number;
  width: number;
  rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** What the pixels of a segment need besides latents. */
interface Found {
  /** Of its symbols, see `Decoded`. */
  magnitudes: Uint8Array | undefined;
  /** Its pixels, if it is lossless as a whole. */
  rgb: Uint8Array | undefined;
}

// Latents of larger pictures are not kept between preview and picture, to save memory.
const MOST_KEPT = 1 << 25; // pixels
// Segments of a picture that gets a coarse preview first: fewer are there soon enough.
const MANY = 4;

/** Decodes one picture. */
export class Decoder {
  readonly #layers: Layers;
  readonly #data: readonly SegmentData[];
  readonly #pause: () => Promise<void>;
  readonly #keeps: boolean;
  readonly #found = new Map<number, Found>();

  /** @param pause awaited between segments; it may throw to end decoding */
  constructor(layers: Layers, data: readonly SegmentData[], pause: () => Promise<void>) {
    this.#layers = layers;
    this.#data = data;
    this.#pause = pause;
    this.#keeps = layers.header.width * layers.header.height <= MOST_KEPT;
  }

  /**
   * Whether there are previews by the latents alone: if the model has them, and the picture is opaque, since
   * latents do not tell visible colours from hidden ones beside them.
   */
  get hasPreview(): boolean {
    return this.#layers.at.model.preview !== undefined && !this.#layers.hasAlpha;
  }

  /**
   * The parts of the picture at an eighth of its sides, from top to bottom; before them, if there are many, all of
   * it at 1/64, where there are latents.
   *
   * @throws FormatError a segment is not what the encoder gives for this header and model
   */
  async *previews(): AsyncGenerator<Part> {
    if (this.#layers.grid.lines.length * this.#layers.grid.lines[0].length >= MANY) {
      yield* this.#coarsePreview();
    }
    for (const segment of this.#layers.grid.lines.flat()) {
      await this.#decode(segment);
      const part = this.#part(segment, PREVIEW_SCALE);
      await this.#place(part, segment, await this.#preview(segment));
      if (!this.#keeps) {
        this.#found.delete(segment.number);
        this.#layers.mosaic.forgetAbove(Number.POSITIVE_INFINITY);
      }
      yield part;
      await this.#pause();
    }
  }

  /**
   * The parts of the picture, from top to bottom.
   *
   * @throws FormatError a segment is not what the encoder gives for this header and model
   */
  async *parts(): AsyncGenerator<Part> {
    const { grid, mosaic, header } = this.#layers;
    // Small segments' pixels are made together: the window of each alone would be many times its size.
    const block = Math.max(1, Math.floor(USUAL_CELLS / header.cells));
    let next = 0;
    for (let first = 0; first < grid.lines.length; first += block) {
      const lines = grid.lines.slice(first, first + block);
      const strip = merged(lines.flat());
      const end = this.#layers.synthesised(strip).rows.stop;
      for (; next < grid.lines.length && grid.lines[next][0].rows.start < end; next++) {
        for (const segment of grid.lines[next]) {
          await this.#decode(segment);
          await this.#pause();
        }
      }
      for (let left = 0; left < lines[0].length; left += block) {
        const segments = lines.flatMap((line) => line.slice(left, left + block));
        const part = this.#part(merged(segments), 1);
        await this.#pixels(segments, part);
        yield part;
        await this.#pause();
      }
      mosaic.forgetAbove(strip.rows.stop - grid.side);
    }
  }

  /** The picture at 1/64 of its sides, by hyperlatents alone. */
  *#coarsePreview(): Generator<Part> {
    const { grid, at } = this.#layers;
    const segments = grid.lines.flat();
    const maps = at.model.coarsePreview;
    if (maps === undefined) {
      return;
    }
    const whole = this.#part(merged(segments), COARSE_SCALE);
    for (const segment of segments) {
      const { latents } = this.#data[segment.number];
      if (latents !== undefined) {
        const shape = [length(segment.rows), length(segment.columns)] as const;
        const hyperlatents = cae2026.decodeHyperlatents(latents, at, shape);
        const found = preview.coarsePixels(hyperlatents, cae2026.hyperShape(shape), maps, at);
        this.#fill(whole, segment, this.#coloured(found), undefined);
      }
    }
    yield whole;
  }

  /** Decodes a segment's latents into the mosaic, or its pixels if it has none. */
  async #decode(segment: Segment): Promise<void> {
    if (this.#found.has(segment.number)) {
      return;
    }
    const { at, coder, mosaic, grid, header } = this.#layers;
    const data = this.#data[segment.number];
    const covered = data.lossless !== undefined && lossless.covers(data.lossless);
    if (covered === (data.latents !== undefined)) {
      const there = covered ? "latents under" : "no latents, and not";
      throw new FormatError(`segment ${segment.number} has ${there} a lossless layer without holes`);
    }
    if (data.latents === undefined) {
      for (const name of ["detail", "clipped"] as const) {
        if (data[name] !== undefined) {
          throw new FormatError(`segment ${segment.number} has no latents, but ${name}`);
        }
      }
      const { rows, columns } = grid.inPixels(segment);
      const { rgb } = await lossless.decode(data.lossless as Uint8Array, length(rows), length(columns));
      this.#found.set(segment.number, { magnitudes: undefined, rgb });
      return;
    }
    if (at.aboveLadder !== (data.detail !== undefined)) {
      const there = at.aboveLadder ? "missing" : "there";
      throw new FormatError(`detail: the chunk is ${there} at ladder position ${header.ladderPosition}`);
    }
    const decoded = await coder.decode(data.latents, [length(segment.rows), length(segment.columns)]);
    mosaic.put(segment, decoded.latents);
    this.#found.set(segment.number, { magnitudes: decoded.magnitudes, rgb: undefined });
  }

  /** Fills in the pixels of a block of segments. */
  async #pixels(block: readonly Segment[], part: Part): Promise<void> {
    const { mosaic, grid } = this.#layers;
    const whole = merged(block);
    if (block.length > 1 && !mosaic.isComplete(this.#layers.synthesised(whole))) {
      // What stands in for missing latents depends on the segment.
      for (const segment of block) {
        await this.#pixels([segment], part);
      }
      return;
    }
    const covered = block.every((segment) => this.#found.get(segment.number)?.rgb !== undefined);
    const base = covered ? undefined : await this.#layers.base(whole);
    const { stride } = grid;
    for (const segment of block) {
      const top = (segment.rows.start - whole.rows.start) * stride;
      const left = (segment.columns.start - whole.columns.start) * stride;
      const [height, width] = [length(segment.rows) * stride, length(segment.columns) * stride];
      const own = base && cropped(base, length(whole.columns) * stride, top, left, height, width);
      await this.#place(part, segment, await this.#layered(segment, own));
      this.#found.delete(segment.number);
    }
  }

  /** A segment's colours with all its layers, rgb, cropped to the picture. */
  async #layered(segment: Segment, base: Uint8Array | undefined): Promise<Uint8Array> {
    const { at, grid } = this.#layers;
    const data = this.#data[segment.number];
    const found = this.#found.get(segment.number) as Found;
    const area = grid.inPixels(segment);
    const [height, width] = [length(area.rows), length(area.columns)];
    if (found.rgb !== undefined) {
      return this.#coloured(found.rgb);
    }
    const [high, wide] = [length(segment.rows) * grid.stride, length(segment.columns) * grid.stride];
    let rgb = base as Uint8Array;
    if (data.detail !== undefined) {
      rgb = detail.decode(data.detail, rgb, high, wide, found.magnitudes as Uint8Array, at);
    }
    rgb = this.#coloured(cropped(rgb, wide, 0, 0, height, width));
    if (data.clipped !== undefined) {
      rgb = await clipped.apply(data.clipped, rgb, height, width);
    }
    if (data.lossless !== undefined) {
      const exact = await lossless.decode(data.lossless, height, width);
      overlay(rgb, this.#coloured(exact.rgb), exact.kept);
    }
    return rgb;
  }

  /** The pixels of a preview, rgb, without synthesis and detail layer. */
  async #preview(segment: Segment): Promise<Uint8Array> {
    const { mosaic, grid, at } = this.#layers;
    const data = this.#data[segment.number];
    const area = grid.inPixels(segment);
    const [height, width] = [length(area.rows), length(area.columns)];
    const exact = this.#found.get(segment.number)?.rgb;
    if (exact !== undefined) {
      return this.#coloured(reduced(exact, undefined, height, width, PREVIEW_SCALE).rgb);
    }
    const [high, wide] = [Math.ceil(height / PREVIEW_SCALE), Math.ceil(width / PREVIEW_SCALE)];
    const shape = [length(segment.rows), length(segment.columns)] as const;
    const weights = at.model.preview as Float32Array;
    const found = preview.pixels(mosaic.latents(segment) as Float32Array, shape, weights);
    let rgb = this.#coloured(cropped(found, (shape[1] * grid.stride) / PREVIEW_SCALE, 0, 0, high, wide));
    if (data.clipped !== undefined) {
      rgb = await clipped.applyReduced(data.clipped, rgb, high, wide, height, width, PREVIEW_SCALE);
    }
    if (data.lossless !== undefined) {
      const layer = await lossless.decode(data.lossless, height, width);
      const small = reduced(layer.rgb, layer.kept, height, width, PREVIEW_SCALE);
      overlay(rgb, this.#coloured(small.rgb), small.whole);
    }
    return rgb;
  }

  /** The colours of a grey picture: the mean of the three, rounded. */
  #coloured(rgb: Uint8Array): Uint8Array {
    if (this.#layers.colours === 3) {
      return rgb;
    }
    const grey = new Uint8Array(rgb.length);
    for (let i = 0; i < rgb.length; i += 3) {
      grey.fill(Math.floor((rgb[i] + rgb[i + 1] + rgb[i + 2] + 1) / 3), i, i + 3);
    }
    return grey;
  }

  /** An area of the picture at a scale, still empty. */
  #part(area: Area, scale: number): Part {
    const { rows, columns } = this.#layers.grid.inPixels(area);
    const [height, width] = [Math.ceil(length(rows) / scale), Math.ceil(length(columns) / scale)];
    const rgba = new Uint8ClampedArray(height * width * 4);
    return { scale, left: columns.start / scale, top: rows.start / scale, height, width, rgba };
  }

  /** Copies a segment's colours, and its transparency, to where they belong. */
  async #place(part: Part, segment: Segment, rgb: Uint8Array): Promise<void> {
    this.#fill(part, segment, rgb, await this.#transparency(segment));
  }

  #fill(part: Part, segment: Segment, rgb: Uint8Array, transparency: Uint8Array | undefined): void {
    const { scale } = part;
    const { rows, columns } = this.#layers.grid.inPixels(segment);
    const [height, width] = [Math.ceil(length(rows) / scale), Math.ceil(length(columns) / scale)];
    const [top, left] = [rows.start / scale - part.top, columns.start / scale - part.left];
    for (let y = 0; y < height; y++) {
      for (let x = 0, to = ((top + y) * part.width + left) * 4; x < width; x++, to += 4) {
        const from = y * width + x;
        part.rgba[to] = rgb[3 * from];
        part.rgba[to + 1] = rgb[3 * from + 1];
        part.rgba[to + 2] = rgb[3 * from + 2];
        part.rgba[to + 3] = transparency === undefined ? 255 : transparency[from];
      }
    }
  }

  /** A segment's alpha; undefined where it is opaque. */
  async #transparency(segment: Segment): Promise<Uint8Array | undefined> {
    const { rows, columns } = this.#layers.grid.inPixels(segment);
    const { alpha } = this.#data[segment.number];
    if (alpha !== undefined && !this.#layers.hasAlpha) {
      throw new FormatError(`alpha: the chunk is there with ${this.#layers.header.channels} channels`);
    }
    return alpha && png.decodeGrey(alpha, length(rows), length(columns));
  }
}

/** Puts pixels of a mask over others. */
function overlay(rgb: Uint8Array, over: Uint8Array, mask: Uint8Array): void {
  for (let i = 0; i < mask.length; i++) {
    if (mask[i]) {
      rgb[3 * i] = over[3 * i];
      rgb[3 * i + 1] = over[3 * i + 1];
      rgb[3 * i + 2] = over[3 * i + 2];
    }
  }
}
