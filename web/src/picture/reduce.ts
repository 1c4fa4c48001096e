/** Pictures at a part of their sides. */

/**
 * Means over squares of `scale` pixels a side, smaller ones at the right and bottom edges.
 *
 * @param rgb (height, width)
 * @param weight of each pixel, 0 to 255; all count alike unless given
 * @returns rgb, (ceil(height / scale), ceil(width / scale)); where all weights are positive, `whole` is 1; and
 *   the means of the weights
 */
export function reduced(
  rgb: Uint8Array,
  weight: Uint8Array | undefined,
  height: number,
  width: number,
  scale: number,
): { rgb: Uint8Array; whole: Uint8Array; weight: Uint8Array } {
  const [high, wide] = [Math.ceil(height / scale), Math.ceil(width / scale)];
  const result = {
    rgb: new Uint8Array(high * wide * 3),
    whole: new Uint8Array(high * wide),
    weight: new Uint8Array(high * wide),
  };
  for (let to = 0; to < high * wide; to++) {
    const [top, left] = [Math.floor(to / wide) * scale, (to % wide) * scale];
    const sums = [0, 0, 0];
    let total = 0;
    let count = 0;
    let whole = 1;
    for (let y = top; y < Math.min(top + scale, height); y++) {
      for (let x = left; x < Math.min(left + scale, width); x++) {
        const from = y * width + x;
        const share = weight === undefined ? 1 : weight[from];
        count++;
        total += share;
        whole = share > 0 ? whole : 0;
        sums[0] += share * rgb[3 * from];
        sums[1] += share * rgb[3 * from + 1];
        sums[2] += share * rgb[3 * from + 2];
      }
    }
    for (let i = 0; i < 3; i++) {
      result.rgb[3 * to + i] = total > 0 ? Math.round(sums[i] / total) : 0;
    }
    result.whole[to] = whole;
    result.weight[to] = Math.round(total / count);
  }
  return result;
}
