/** What encoder and decoder of one picture share: the grid of segments, the latents so far, base pixels. */

import type { SegmentCoder } from "../coding/base.ts";
import { Cae2017 } from "../coding/cae2017.ts";
import { Cae2026 } from "../coding/cae2026.ts";
import type { Conditioning } from "../models/conditioning.ts";
import type { Header } from "../options.ts";
import type { Networks } from "../runtime/networks.ts";
import { type Area, Grid, length } from "./grid.ts";
import { Mosaic } from "./mosaic.ts";

/** One picture at one ladder position. */
export class Layers {
  readonly header: Header;
  readonly at: Conditioning;
  readonly coder: SegmentCoder;
  readonly grid: Grid;
  readonly mosaic: Mosaic;

  constructor(header: Header, at: Conditioning, networks: Networks) {
    this.header = header;
    this.at = at;
    this.coder = at.model.control === undefined ? new Cae2017(at, networks) : new Cae2026(at, networks);
    this.grid = new Grid(header, at.model.manifest);
    this.mosaic = new Mosaic(at.model.channels);
  }

  /** Channels without transparency: 1 or 3. */
  get colours(): number {
    return this.header.channels < 3 ? 1 : 3;
  }

  /** Whether the picture has transparency. */
  get hasAlpha(): boolean {
    return this.header.channels % 2 === 0;
  }

  /** The window of latents that the pixels of an area depend on. */
  synthesised(area: Area): Area {
    return this.grid.window(area, this.at.model.manifest.synthesis_halo);
  }

  /** An area's pixels by its latents and those around it: rgb, padded to whole latents. */
  async base(area: Area): Promise<Uint8Array> {
    const { stride } = this.grid;
    const window = this.synthesised(area);
    const shape = [length(window.rows), length(window.columns)] as const;
    const pixels = await this.coder.synthesise(this.mosaic.window(window, area), shape);
    const inner = {
      top: (area.rows.start - window.rows.start) * stride,
      left: (area.columns.start - window.columns.start) * stride,
    };
    const [height, width] = [length(area.rows) * stride, length(area.columns) * stride];
    return cropped(pixels, shape[1] * stride, inner.top, inner.left, height, width);
  }
}

/** A rectangle of rgb pixels, `wide` of which are a row. */
export function cropped(
  rgb: Uint8Array,
  wide: number,
  top: number,
  left: number,
  height: number,
  width: number,
): Uint8Array {
  if (left === 0 && top === 0 && width === wide && rgb.length === height * width * 3) {
    return rgb;
  }
  const result = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * wide + left) * 3;
    result.set(rgb.subarray(from, from + width * 3), y * width * 3);
  }
  return result;
}
