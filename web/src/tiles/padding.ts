/** Parts of a picture, padded to whole latents. */

/** A rectangle of a picture, in pixels. */
export interface Rectangle {
  top: number;
  left: number;
  height: number;
  width: number;
}

/**
 * A rectangle of rgb pixels, `wide` of which are a row, padded at the right and bottom by repetition of its last
 * column and row.
 */
export function padded(
  rgb: Uint8Array,
  wide: number,
  { top, left, height, width }: Rectangle,
  toHeight: number,
  toWidth: number,
): Uint8Array {
  const result = new Uint8Array(toHeight * toWidth * 3);
  for (let y = 0; y < toHeight; y++) {
    const from = ((top + Math.min(y, height - 1)) * wide + left) * 3;
    const to = y * toWidth * 3;
    result.set(rgb.subarray(from, from + width * 3), to);
    for (let x = width; x < toWidth; x++) {
      result.copyWithin(to + x * 3, to + (width - 1) * 3, to + width * 3);
    }
  }
  return result;
}
