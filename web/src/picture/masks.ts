/** Masks of pixels: Uint8Array of 0 and 1, row after row. */

/**
 * Whether all of each square of `side` pixels is in a mask; squares at the edges may be smaller.
 *
 * @returns A mask of ceil(height / side) x ceil(width / side).
 */
export function allOf(mask: Uint8Array, height: number, width: number, side: number): Uint8Array {
  const wide = Math.ceil(width / side);
  const found = new Uint8Array(Math.ceil(height / side) * wide).fill(1);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y / side) * wide;
    for (let x = 0; x < width; x++, i++) {
      if (!mask[i]) {
        found[row + Math.floor(x / side)] = 0;
      }
    }
  }
  return found;
}

/** A mask with the eight neighbours of all that it has. */
export function grown(mask: Uint8Array, height: number, width: number): Uint8Array {
  const found = new Uint8Array(mask.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (mask[i]) {
        const right = Math.min(x + 2, width);
        for (let row = Math.max(y - 1, 0); row < Math.min(y + 2, height); row++) {
          found.fill(1, row * width + Math.max(x - 1, 0), row * width + right);
        }
      }
    }
  }
  return found;
}

/** Squares of `side` pixels as pixels: the mirror of `allOf`. */
export function spread(squares: Uint8Array, height: number, width: number, side: number): Uint8Array {
  const wide = Math.ceil(width / side);
  const mask = new Uint8Array(height * width);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y / side) * wide;
    for (let x = 0; x < width; x++, i++) {
      mask[i] = squares[row + Math.floor(x / side)];
    }
  }
  return mask;
}
