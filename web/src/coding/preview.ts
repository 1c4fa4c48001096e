/**
 * Previews: a picture at an eighth of its sides, as a linear map of its latents.
 *
 * Means over 8 x 8 pixels are very nearly linear in the latents, so thumbnails need no synthesis and no detail
 * layer.
 */

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
