/** Decoded latents of segments, which are read as windows across their borders. */

import { type Area, length, overlap, type Segment } from "./grid.ts";

export class Mosaic {
  readonly #channels: number;
  #tiles: { segment: Segment; latents: Float32Array }[] = [];

  constructor(channels: number) {
    this.#channels = channels;
  }

  /** Adds a segment's latents, (channels, rows, columns). */
  put(segment: Segment, latents: Float32Array): void {
    this.#tiles.push({ segment, latents });
  }

  /** Drops segments that end above a row. */
  forgetAbove(row: number): void {
    this.#tiles = this.#tiles.filter(({ segment }) => segment.rows.stop > row);
  }

  /** A segment's latents. */
  latents(segment: Segment): Float32Array | undefined {
    return this.#tiles.find((tile) => tile.segment.number === segment.number)?.latents;
  }

  /** Whether latents have been added throughout a window. */
  isComplete(window: Area): boolean {
    let found = 0;
    for (const { segment } of this.#within(window)) {
      found += length(overlap(segment.rows, window.rows)) * length(overlap(segment.columns, window.columns));
    }
    return found === length(window.rows) * length(window.columns);
  }

  /**
   * The latents of a window, (channels, rows, columns). Where none have been added, they are those of the nearest
   * position in `own`.
   */
  window(window: Area, own: Area): Float32Array {
    const rows = length(window.rows);
    const columns = length(window.columns);
    const result = new Float32Array(this.#channels * rows * columns);
    const missing = new Uint8Array(rows * columns).fill(1);
    for (const { segment, latents } of this.#within(window)) {
      const down = overlap(segment.rows, window.rows);
      const across = overlap(segment.columns, window.columns);
      const [high, wide] = [length(segment.rows), length(segment.columns)];
      for (let row = down.start; row < down.stop; row++) {
        const to = (row - window.rows.start) * columns + across.start - window.columns.start;
        const from = (row - segment.rows.start) * wide + across.start - segment.columns.start;
        missing.fill(0, to, to + length(across));
        for (let channel = 0; channel < this.#channels; channel++) {
          const line = channel * high * wide + from;
          result.set(latents.subarray(line, line + length(across)), channel * rows * columns + to);
        }
      }
    }
    for (let position = missing.indexOf(1); position >= 0; position = missing.indexOf(1, position + 1)) {
      const row = Math.floor(position / columns) + window.rows.start;
      const column = (position % columns) + window.columns.start;
      const nearest =
        (Math.min(Math.max(row, own.rows.start), own.rows.stop - 1) - window.rows.start) * columns +
        Math.min(Math.max(column, own.columns.start), own.columns.stop - 1) -
        window.columns.start;
      for (let channel = 0; channel < this.#channels; channel++) {
        result[channel * rows * columns + position] = result[channel * rows * columns + nearest];
      }
    }
    return result;
  }

  #within(window: Area) {
    return this.#tiles.filter(
      ({ segment }) =>
        length(overlap(segment.rows, window.rows)) > 0 &&
        length(overlap(segment.columns, window.columns)) > 0,
    );
  }
}
