/**
 * Segments: the squares of a picture whose symbols are coded independently of one another.
 *
 * The transforms see across their borders: the pixels of a segment come from a window of latents that is wider
 * by a halo, so that no seam shows. All numbers are in latents.
 */

import { CELL } from "../format/container.ts";
import type { Manifest } from "../models/package.ts";
import type { Header } from "../options.ts";

export const USUAL_CELLS = 16;
const MOST_OF_ONE = 24; // cells a side of the largest picture that is one segment

/** From `start` to before `stop`. */
export interface Span {
  start: number;
  stop: number;
}

/** Rows and columns. */
export interface Area {
  rows: Span;
  columns: Span;
}

/** A segment of a picture. */
export interface Segment extends Area {
  /** Its position in the file, from 0: row after row, each from left to right. */
  number: number;
}

/** The segments of one picture. */
export class Grid {
  /** Of the picture. */
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  /** Of a segment. */
  readonly side: number;
  /** Rows of segments, from top to bottom. */
  readonly lines: readonly (readonly Segment[])[];
  readonly #header: Header;

  constructor(header: Header, manifest: Manifest) {
    const { stride, smallest_side: smallest } = manifest;
    this.#header = header;
    this.stride = stride;
    this.rows = Math.ceil(Math.max(header.height, smallest) / stride);
    this.columns = Math.ceil(Math.max(header.width, smallest) / stride);
    this.side = (header.cells * CELL) / stride;
    const across = spans(this.columns, this.side);
    this.lines = spans(this.rows, this.side).map((rows, line) =>
      across.map((columns, i) => ({ number: line * across.length + i, rows, columns })),
    );
  }

  /** An area with a halo on each side, in pixels, as far as the picture goes. */
  window({ rows, columns }: Area, halo: number): Area {
    const more = halo / this.stride;
    return {
      rows: { start: Math.max(0, rows.start - more), stop: Math.min(this.rows, rows.stop + more) },
      columns: {
        start: Math.max(0, columns.start - more),
        stop: Math.min(this.columns, columns.stop + more),
      },
    };
  }

  /** Where an area lies in the picture, in pixels, cropped to it. */
  inPixels({ rows, columns }: Area): Area {
    const { height, width } = this.#header;
    return {
      rows: { start: rows.start * this.stride, stop: Math.min(rows.stop * this.stride, height) },
      columns: { start: columns.start * this.stride, stop: Math.min(columns.stop * this.stride, width) },
    };
  }
}

/** Cells a side of the segments of a picture. */
export function chooseCells(height: number, width: number): number {
  const cells = Math.ceil(Math.max(height, width) / CELL);
  return cells <= MOST_OF_ONE ? cells : USUAL_CELLS;
}

/** The length of a span. */
export function length(span: Span): number {
  return span.stop - span.start;
}

/** The rectangle from the first to the last of several areas in reading order. */
export function merged(areas: readonly Area[]): Area {
  const last = areas[areas.length - 1];
  return {
    rows: { start: areas[0].rows.start, stop: last.rows.stop },
    columns: { start: areas[0].columns.start, stop: last.columns.stop },
  };
}

/** What two spans have in common. */
export function overlap(one: Span, other: Span): Span {
  return { start: Math.max(one.start, other.start), stop: Math.min(one.stop, other.stop) };
}

function spans(end: number, side: number): Span[] {
  return Array.from({ length: Math.ceil(end / side) }, (_, i) => ({
    start: i * side,
    stop: Math.min((i + 1) * side, end),
  }));
}
