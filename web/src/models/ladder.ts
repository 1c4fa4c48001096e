/** The rate ladder: quality 1 to 100, a model's ladder positions in hundredths, its anchors, rows of tables. */

import { ConfigError } from "../errors.ts";
import { POSITION_MAX, POSITION_MIN } from "../format/container.ts";

export const DEFAULT_QUALITY = 50;

/** Pairs of quality and ladder position, both rising. */
export type Scale = readonly (readonly [number, number])[];

/**
 * The ladder position of a quality, in hundredths, 100 to 10000; the nearest that the model reaches.
 *
 * @throws ConfigError `quality` is not a number from 1 to 100
 */
export function positionOf(quality: number, scale: Scale): number {
  if (typeof quality !== "number" || !(quality >= 1 && quality <= 100)) {
    throw new ConfigError(`quality is ${quality}; 1 to 100 is allowed`);
  }
  return Math.round(interpolate(quality, scale) * 100);
}

/** The quality of a ladder position in hundredths. */
export function qualityOf(position: number, scale: Scale): number {
  return interpolate(
    position / 100,
    scale.map(([quality, own]) => [own, quality] as const),
  );
}

/** The row of tables for a ladder position: of `rows`, evenly from `bottom` to `top` and no further. */
export function tableRow(position: number, rows: number, top = POSITION_MAX, bottom = POSITION_MIN): number {
  const span = top - bottom;
  return Math.floor((2 * (Math.min(position, top) - bottom) * (rows - 1) + span) / (2 * span));
}

/** Interpolation weights of the ladder's anchors, at most two not zero, sum 1. */
export function anchorWeights(position: number, anchors: number, top: number): Float32Array {
  const anchor = ((Math.min(position, top) - POSITION_MIN) / (top - POSITION_MIN)) * (anchors - 1);
  return Float32Array.from({ length: anchors }, (_, i) => Math.max(0, 1 - Math.abs(anchor - i)));
}

/** Scale vectors, (anchors, channels) natural logarithms, interpolated along the ladder. */
export function scaleVector(logScales: Float32Array, weights: Float32Array): Float32Array {
  const channels = logScales.length / weights.length;
  return Float32Array.from({ length: channels }, (_, channel) => {
    const sum = weights.reduce(
      (total, weight, anchor) => total + weight * logScales[anchor * channels + channel],
      0,
    );
    return Math.exp(sum);
  });
}

/** Linear between pairs, constant beyond them. */
export function interpolate(x: number, pairs: Scale): number {
  const above = pairs.findIndex(([at]) => x <= at);
  if (above <= 0) {
    return pairs[above < 0 ? pairs.length - 1 : 0][1];
  }
  const [x0, y0] = pairs[above - 1];
  const [x1, y1] = pairs[above];
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}
