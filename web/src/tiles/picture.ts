/** A picture to be encoded: colours and transparency apart. */

import { ImageError } from "../errors.ts";

export interface Picture {
  height: number;
  width: number;
  /** 1 (grey) or 3 (RGB), one more with transparency. */
  channels: number;
  /** (height, width, 3), of a grey picture as well. */
  rgb: Uint8Array;
  /** (height, width); undefined where all is opaque. */
  alpha: Uint8Array | undefined;
}

/**
 * A picture of RGBA pixels; grey if all of them are.
 *
 * @throws ImageError the pixels are not as many as the sides say
 */
export function pictureOf(rgba: Uint8ClampedArray | Uint8Array, height: number, width: number): Picture {
  const size = height * width;
  if (
    !(height > 0 && width > 0) ||
    rgba.length !== 4 * size ||
    !Number.isInteger(height) ||
    !Number.isInteger(width)
  ) {
    throw new ImageError(
      `picture: ${rgba.length} bytes for ${width} x ${height} pixels; 4 a pixel are allowed`,
    );
  }
  const rgb = new Uint8Array(3 * size);
  const alpha = new Uint8Array(size);
  let [grey, opaque] = [true, true];
  for (let i = 0; i < size; i++) {
    const [r, g, b] = [rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]];
    rgb[3 * i] = r;
    rgb[3 * i + 1] = g;
    rgb[3 * i + 2] = b;
    alpha[i] = rgba[4 * i + 3];
    grey &&= r === g && g === b;
    opaque &&= alpha[i] === 255;
  }
  return {
    height,
    width,
    channels: (grey ? 1 : 3) + (opaque ? 0 : 1),
    rgb,
    alpha: opaque ? undefined : alpha,
  };
}
