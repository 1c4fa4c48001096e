/**
 * Previews: a picture at an eighth of its sides, as a linear map of its latents.
 *
 * Means over 8 x 8 pixels are very nearly linear in the latents, so thumbnails need no synthesis and no detail
 * layer. Means over 64 x 64 pixels are roughly linear in the hyperlatents, which come first in a segment: they
 * are there long before any network has run.
 */

import { POSITION_MIN } from "../format/container.ts";
import type { Conditioning } from "../models/conditioning.ts";
import type { Shape } from "./base.ts";

/**
 * Means over 8 x 8 pixels: rgb of rows k x columns k, where k = stride / 8.
 *
 * @param latents (channels, rows, columns), decoded
 * @param weights (channels + 1, 3 k^2); the last row is an offset
 */
export function pixels(latents: Float32Array, [rows, columns]: Shape, weights: Float32Array): Uint8Array {
  const size = rows * columns;
  const channels = latents.length / size;
  const values = weights.length / (channels + 1);
  const side = Math.sqrt(values / 3);
  const offset = weights.subarray(channels * values);
  const means = Float32Array.from({ length: size * values }, (_, i) => offset[i % values]);
  for (let channel = 0; channel < channels; channel++) {
    for (let position = 0; position < size; position++) {
      const latent = latents[channel * size + position];
      for (let i = 0; i < values; i++) {
        means[position * values + i] += latent * weights[channel * values + i];
      }
    }
  }
  const rgb = new Uint8Array(means.length);
  for (let i = 0; i < means.length; i++) {
    const position = Math.floor(i / values);
    const pixel = Math.floor((i % values) / 3);
    const y = Math.floor(position / columns) * side + Math.floor(pixel / side);
    const x = (position % columns) * side + (pixel % side);
    rgb[(y * columns * side + x) * 3 + (i % 3)] = Math.max(0, Math.min(255, Math.round(means[i])));
  }
  return rgb;
}

/**
 * Means over 64 x 64 pixels: rgb of rows x columns.
 *
 * @param hyperlatents (D, rows, columns), decoded
 * @param maps (positions, D + 1, 3), at ladder positions that lie evenly from the bottom to the top; the last row
 *   of each is an offset
 */
export function coarsePixels(
  hyperlatents: Int16Array,
  [rows, columns]: Shape,
  maps: Float32Array,
  at: Conditioning,
): Uint8Array {
  const size = rows * columns;
  const length = (hyperlatents.length / size + 1) * 3; // of a map
  const top = at.model.manifest.ladder_top;
  const share = (Math.min(at.position, top) - POSITION_MIN) / (top - POSITION_MIN);
  const place = share * (maps.length / length - 1);
  const below = Math.floor(place);
  const weights = Float32Array.from({ length }, (_, i) => {
    const first = maps[below * length + i];
    return first + (place - below) * ((maps[(below + 1) * length + i] ?? first) - first);
  });
  const rgb = new Uint8Array(size * 3);
  for (let i = 0; i < rgb.length; i++) {
    let mean = weights[length - 3 + (i % 3)];
    for (let channel = 0; channel < length / 3 - 1; channel++) {
      mean += hyperlatents[channel * size + Math.floor(i / 3)] * weights[3 * channel + (i % 3)];
    }
    rgb[i] = Math.max(0, Math.min(255, Math.round(mean)));
  }
  return rgb;
}
