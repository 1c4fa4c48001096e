/**
 * A picture to its segments, from top to bottom; the mirror of `decoder`.
 *
 *     pixels -> lossless layers -> window of each segment -> latents, payload -> detail layer, clipped areas
 *            -> transparency -> segment
 */

import type { Encoded } from "../coding/base.ts";
import * as clipped from "../coding/clipped.ts";
import * as detail from "../coding/detail.ts";
import * as lossless from "../coding/lossless.ts";
import type { SegmentData } from "../format/container.ts";
import { cleared } from "../picture/clear.ts";
import * as png from "../picture/png.ts";
import { type Area, length, type Segment } from "./grid.ts";
import { cropped, type Layers } from "./layers.ts";
import { type Chosen, inverted, type LosslessChoice } from "./lossless.ts";
import { padded } from "./padding.ts";
import type { Picture } from "./picture.ts";

/** The latents of a segment of a picture, (channels, rows, columns). */
export type Analysis = (picture: Picture, segment: Segment) => Promise<Float32Array>;

/** What encoding one picture needs besides its pixels. */
export interface Stages {
  layers: Layers;
  analyse: Analysis;
  choice: LosslessChoice;
  /** Awaited between segments, with the share that is done; it may throw to end encoding. */
  pause: (share: number) => Promise<void>;
}

/** The segments of a picture, in order. */
export async function encode(picture: Picture, stages: Stages): Promise<SegmentData[]> {
  const { layers } = stages;
  const chosen = await stages.choice.choose(layers);
  const smooth = continued(picture, layers, chosen);
  const encoded = await encodeLatents(smooth, stages, chosen);
  const segments = [];
  for (const segment of layers.grid.lines.flat()) {
    segments.push(await withLayers(segment, encoded.get(segment.number), smooth, picture, layers, chosen));
  }
  return segments;
}

/** The analysis of a picture's segments at the ladder position of `layers`. */
export function analysis(layers: Layers): Analysis {
  const { grid, at, coder } = layers;
  const { stride, halo } = at.model.manifest;
  return async (picture, segment) => {
    const window = grid.window(segment, halo);
    const pixels = rectangle(grid.inPixels(window));
    const [rows, columns] = [length(window.rows), length(window.columns)];
    const rgb = padded(picture.rgb, picture.width, pixels, rows * stride, columns * stride);
    const latents = await coder.analyse(rgb, rows * stride, columns * stride);
    return inner(latents, window, segment);
  };
}

async function encodeLatents(
  picture: Picture,
  stages: Stages,
  chosen: Chosen,
): Promise<Map<number, Encoded>> {
  const { grid, coder, mosaic, at } = stages.layers;
  const encoded = new Map<number, Encoded>();
  const segments = grid.lines.flat();
  for (const [done, segment] of segments.entries()) {
    await stages.pause(done / segments.length);
    const layer = chosen.get(segment.number);
    if (layer !== undefined && lossless.covering(layer)) {
      continue;
    }
    const free = layer && lossless.free(layer, grid.stride);
    const latents = await stages.analyse(picture, segment);
    const one = await coder.encode(latents, [length(segment.rows), length(segment.columns)], free);
    encoded.set(segment.number, one);
    if (at.aboveLadder) {
      mosaic.put(segment, one.decoded.latents); // which the base of the detail layer needs
    }
  }
  return encoded;
}

async function withLayers(
  segment: Segment,
  encoded: Encoded | undefined,
  smooth: Picture,
  picture: Picture,
  layers: Layers,
  chosen: Chosen,
): Promise<SegmentData> {
  const { grid, at } = layers;
  const pixels = rectangle(grid.inPixels(segment));
  const layer = chosen.get(segment.number);
  const data: SegmentData = {};
  if (layer !== undefined) {
    data.lossless = layer.payload;
  }
  if (encoded !== undefined) {
    data.latents = encoded.payload;
    if (at.aboveLadder) {
      const [high, wide] = [length(segment.rows) * grid.stride, length(segment.columns) * grid.stride];
      const rgb = padded(smooth.rgb, smooth.width, pixels, high, wide);
      const { magnitudes } = encoded.decoded;
      data.detail = detail.encode(rgb, await layers.base(segment), high, wide, magnitudes as Uint8Array, at);
    }
    if (layer === undefined) {
      const { top, left, height, width } = pixels;
      const rgb = cropped(smooth.rgb, smooth.width, top, left, height, width);
      const areas = await clipped.encode(rgb, height, width, encoded.payload.length, at.aboveLadder);
      if (areas !== undefined) {
        data.clipped = areas;
      }
    }
  }
  const alpha = picture.alpha && alphaOf(picture.alpha, picture.width, pixels);
  if (alpha?.some((value) => value < 255)) {
    data.alpha = await png.encodeGrey(alpha, pixels.height, pixels.width);
  }
  return data;
}

/** The picture with a smooth continuation of the other pixels where lossless layers keep them. */
function continued(picture: Picture, { grid }: Layers, chosen: Chosen): Picture {
  if (chosen.size === 0) {
    return picture;
  }
  const kept = new Uint8Array(picture.height * picture.width);
  for (const segment of grid.lines.flat()) {
    const layer = chosen.get(segment.number);
    const { top, left, height, width } = rectangle(grid.inPixels(segment));
    for (let y = 0; layer !== undefined && y < height; y++) {
      kept.set(layer.kept.subarray(y * width, (y + 1) * width), (top + y) * picture.width + left);
    }
  }
  return { ...picture, rgb: cleared(picture.rgb, inverted(kept), picture.height, picture.width) };
}

/** The latents of a segment out of those of its window. */
function inner(latents: Float32Array, window: Area, segment: Segment): Float32Array {
  const [rows, columns] = [length(segment.rows), length(segment.columns)];
  const [high, wide] = [length(window.rows), length(window.columns)];
  if (rows === high && columns === wide) {
    return latents;
  }
  const channels = latents.length / (high * wide);
  const result = new Float32Array(channels * rows * columns);
  const offset =
    (segment.rows.start - window.rows.start) * wide + segment.columns.start - window.columns.start;
  for (let line = 0; line < channels * rows; line++) {
    const from = Math.floor(line / rows) * high * wide + (line % rows) * wide + offset;
    result.set(latents.subarray(from, from + columns), line * columns);
  }
  return result;
}

function alphaOf(alpha: Uint8Array, wide: number, at: ReturnType<typeof rectangle>): Uint8Array {
  return Uint8Array.from({ length: at.height * at.width }, (_, i) => {
    return alpha[(at.top + Math.floor(i / at.width)) * wide + at.left + (i % at.width)];
  });
}

function rectangle({ rows, columns }: Area) {
  return { top: rows.start, left: columns.start, height: length(rows), width: length(columns) };
}
