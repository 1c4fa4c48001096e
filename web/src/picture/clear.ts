/** Colours of pixels that are not seen. */

const GREY = 128;

/**
 * Colours with those of pixels that are not visible interpolated smoothly from visible ones.
 *
 * They then take almost no bits, and add no edges beside visible pixels.
 *
 * @param rgb height * width * 3.
 * @param visible Mask of height * width.
 * @returns Grey throughout if nothing is visible.
 */
export function cleared(rgb: Uint8Array, visible: Uint8Array, height: number, width: number): Uint8Array {
  if (!visible.includes(0)) {
    return rgb;
  }
  const colours = new Uint8ClampedArray(rgb);
  if (visible.includes(1)) {
    fill(colours, visible, height, width);
  } else {
    colours.fill(GREY);
  }
  return new Uint8Array(colours.buffer);
}

/**
 * Interpolate what is not visible, in place.
 *
 * Pull-push (Gortler et al., "The lumigraph", 1996): the means of visible pixels in blocks of 2 x 2 are
 * interpolated in the same way, then upsampled.
 */
function fill(
  colours: Float32Array | Uint8ClampedArray,
  visible: Uint8Array,
  height: number,
  width: number,
): void {
  if (!visible.includes(0)) {
    return;
  }
  const [high, wide] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  const coarse = new Float32Array(high * wide * 3);
  const counts = new Uint8Array(high * wide);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (visible[i]) {
        const block = (y >> 1) * wide + (x >> 1);
        counts[block]++;
        for (let channel = 0; channel < 3; channel++) {
          coarse[3 * block + channel] += colours[3 * i + channel];
        }
      }
    }
  }
  for (let i = 0; i < coarse.length; i++) {
    coarse[i] /= Math.max(counts[Math.floor(i / 3)], 1);
  }
  fill(
    coarse,
    counts.map((count) => (count ? 1 : 0)),
    high,
    wide,
  );
  upsample(coarse, high, wide, colours, visible, height, width);
}

/** Set what is not visible to its bilinear interpolation from means of 2 x 2. */
function upsample(
  coarse: Float32Array,
  high: number,
  wide: number,
  colours: Float32Array | Uint8ClampedArray,
  visible: Uint8Array,
  height: number,
  width: number,
): void {
  for (let y = 0, i = 0; y < height; y++) {
    const row = (y >> 1) * wide;
    const beside = nextTo(y, high) * wide;
    for (let x = 0; x < width; x++, i++) {
      if (visible[i]) {
        continue;
      }
      const [column, next] = [x >> 1, nextTo(x, wide)];
      for (let channel = 0; channel < 3; channel++) {
        const at = (block: number) => coarse[3 * block + channel];
        const near = 0.75 * at(row + column) + 0.25 * at(row + next);
        const far = 0.75 * at(beside + column) + 0.25 * at(beside + next);
        colours[3 * i + channel] = 0.75 * near + 0.25 * far;
      }
    }
  }
}

/** The second block that a pixel is interpolated from, along one axis; the last one at the edges. */
function nextTo(position: number, count: number): number {
  const next = (position >> 1) + (position % 2 ? 1 : -1);
  return Math.min(Math.max(next, 0), count - 1);
}
