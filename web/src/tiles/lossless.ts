/**
 * The choice of lossless layers: which segments are coded without loss, in whole or in part.
 *
 * A layer is chosen where it takes no more bytes than latents would for the quality that they give photographs:
 * latents that ring around text, and so fall short of that quality, count for more bytes than they have.
 */

import * as detail from "../coding/detail.ts";
import type { LosslessLayer } from "../coding/lossless.ts";
import * as lossless from "../coding/lossless.ts";
import { interpolate, qualityOf, type Scale } from "../models/ladder.ts";
import { cleared } from "../picture/clear.ts";
import { length, type Segment } from "./grid.ts";
import { cropped, type Layers } from "./layers.ts";
import { padded } from "./padding.ts";
import type { Picture } from "./picture.ts";

// What bytes grow by along the ladder of photographs, for a decibel, and the most that they are multiplied by.
const GROWTH = 1.2;
const MOST = 2;
/** Pairs of quality and PSNR of photographs on average. */
const USUAL_PSNR: Scale = [
  [1, 22.9],
  [12, 24.7],
  [24, 27.1],
  [36, 29.9],
  [48, 33.3],
  [60, 37.1],
  [72, 40.6],
  [100, 47.3],
];

/** Lossless layers by the number of their segment. */
export type Chosen = ReadonlyMap<number, LosslessLayer>;

/** Chooses the lossless layers of one picture; candidates are kept for other ladder positions. */
export class LosslessChoice {
  readonly #picture: Picture;
  readonly #exact: boolean;
  readonly #bytesAlone: boolean;
  readonly #candidates = new Map<number, LosslessLayer[]>();

  /**
   * @param exact colours of fully transparent pixels matter
   * @param bytesAlone quality does not count, so that sizes rise along the ladder without a leap
   */
  constructor(picture: Picture, exact: boolean, bytesAlone: boolean) {
    this.#picture = picture;
    this.#exact = exact;
    this.#bytesAlone = bytesAlone;
  }

  /** The layers that are worth their bytes at the ladder position of `layers`. */
  async choose(layers: Layers): Promise<Chosen> {
    const chosen = new Map<number, LosslessLayer>();
    for (const segment of layers.grid.lines.flat()) {
      const layer = await this.#best(layers, segment);
      if (layer !== undefined) {
        chosen.set(segment.number, layer);
      }
    }
    return chosen;
  }

  async #best(layers: Layers, segment: Segment): Promise<LosslessLayer | undefined> {
    const { rows, columns } = layers.grid.inPixels(segment);
    const [height, width] = [length(rows), length(columns)];
    const rgb = cropped(this.#picture.rgb, this.#picture.width, rows.start, columns.start, height, width);
    const hidden = this.#hidden(rows.start, columns.start, height, width);
    const known = this.#candidates.get(segment.number);
    const candidates = known ?? (await lossless.candidates(rgb, hidden, height, width));
    this.#candidates.set(segment.number, candidates);
    let best: LosslessLayer | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const layer of candidates.length > 0 ? [...candidates, undefined] : []) {
      const shown = Uint8Array.from({ length: height * width }, (_, i) =>
        hidden?.[i] || layer?.kept[i] ? 0 : 1,
      );
      const learned = await this.#learnedCost(layers, segment, rgb, height, width, shown, layer);
      const cost = learned + (layer?.payload.length ?? 0);
      if (cost < least) {
        [best, least] = [layer, cost];
      }
    }
    return best;
  }

  /** Pixels whose colours do not matter, since they are transparent. */
  #hidden(top: number, left: number, height: number, width: number): Uint8Array | undefined {
    const { alpha, width: wide } = this.#picture;
    if (alpha === undefined || this.#exact) {
      return undefined;
    }
    return Uint8Array.from({ length: height * width }, (_, i) =>
      alpha[(top + Math.floor(i / width)) * wide + left + (i % width)] === 0 ? 1 : 0,
    );
  }

  /** The bytes of a segment's latents and detail, at the quality that is wanted of the shown pixels. */
  async #learnedCost(
    layers: Layers,
    segment: Segment,
    rgb: Uint8Array,
    height: number,
    width: number,
    shown: Uint8Array,
    layer: LosslessLayer | undefined,
  ): Promise<number> {
    if (!shown.includes(1)) {
      return 0;
    }
    const { at, coder } = layers;
    const { stride, quality_scale: scale } = at.model.manifest;
    const shape = [length(segment.rows), length(segment.columns)] as const;
    const [high, wide] = shape.map((side) => side * stride);
    const smooth = layer ? cleared(rgb, inverted(layer.kept), height, width) : rgb;
    const whole = padded(smooth, width, { top: 0, left: 0, height, width }, high, wide);
    const latents = await coder.analyse(whole, high, wide);
    const free = layer && lossless.free(layer, stride);
    const { payload, decoded } = await coder.encode(latents, shape, free);
    let size = payload.length;
    let found = await coder.synthesise(decoded.latents, shape);
    if (at.aboveLadder) {
      size += detail.encode(whole, found, high, wide, decoded.magnitudes as Uint8Array, at).length;
      found = detail.reconstruct(whole, found, high, wide, at);
    }
    if (this.#bytesAlone) {
      return size;
    }
    let [sum, count] = [0, 0];
    for (let i = 0; i < shown.length; i++) {
      if (shown[i]) {
        const from = (Math.floor(i / width) * wide + (i % width)) * 3;
        for (let c = 0; c < 3; c++) {
          sum += (found[from + c] - rgb[3 * i + c]) ** 2;
        }
        count += 3;
      }
    }
    const psnr = 10 * Math.log10(255 ** 2 / Math.max(sum / count, 1e-9));
    const wanted = interpolate(qualityOf(at.position, scale), USUAL_PSNR);
    return size * Math.min(GROWTH ** Math.max(wanted - psnr, 0), MOST);
  }
}

/** The other pixels of a mask. */
export function inverted(mask: Uint8Array): Uint8Array {
  return mask.map((value) => 1 - value);
}
