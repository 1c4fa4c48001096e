/**
 * The order in which a plane of symbols is coded: four passes over a checkerboard of 2x2 cells.
 *
 * In pass t, corner c of every cell codes the channels of group c ^ t, a quarter of them. Each pass so codes
 * a quarter of every group, and a symbol may depend on neighbours of its own channel and, at its own position,
 * on the groups of earlier passes.
 */

export const PASSES = 4;
/** Row and column of each corner in its cell; diagonal neighbours come before the others. */
export const CORNERS = [
  [0, 0],
  [1, 1],
  [0, 1],
  [1, 0],
] as const;

/** What one corner codes in one pass. */
export interface Part {
  /** The first of its channels, and how many they are. */
  first: number;
  channels: number;
  /** The corner's row and column in its cell. */
  row: number;
  column: number;
  /** Rows and columns of the part in its plane. */
  high: number;
  wide: number;
}

/** The four parts of a pass, in order, of a plane of `rows` x `columns`; `channels` is a multiple of 4. */
export function parts(pass: number, channels: number, rows: number, columns: number): Part[] {
  const size = channels / PASSES;
  return CORNERS.map(([row, column], corner) => ({
    first: (corner ^ pass) * size,
    channels: size,
    row,
    column,
    high: (rows - row + 1) >> 1,
    wide: (columns - column + 1) >> 1,
  }));
}

/** Number of symbols of a part. */
export function sizeOf(part: Part): number {
  return part.channels * part.high * part.wide;
}

/** The corner of a position. */
export function cornerOf(row: number, column: number): number {
  return CORNERS.findIndex(([r, c]) => r === row % 2 && c === column % 2);
}
