/** Conditioning: what a ladder position fixes for everything that codes with a model. */

import type { Table } from "../entropy/tables.ts";
import { anchorWeights, scaleVector, tableRow } from "./ladder.ts";
import type { Model } from "./model.ts";

/** A model at a ladder position. */
export class Conditioning {
  readonly model: Model;
  /** In hundredths, 100 to 10000. */
  readonly position: number;
  /** Interpolation weights of the ladder's anchors: an input of the networks. */
  readonly anchorWeights: Float32Array;
  /** Quantization steps per unit of a latent, by channel, and units per step. */
  readonly gain: Float32Array;
  readonly inverseGain: Float32Array;
  /** Row of the model's tables and of its entropy control. */
  readonly row: number;

  constructor(model: Model, position: number) {
    const top = model.manifest.ladder_top;
    this.model = model;
    this.position = position;
    this.anchorWeights = anchorWeights(position, model.anchors, top);
    this.gain = scaleVector(model.logGain, this.anchorWeights);
    this.inverseGain = scaleVector(model.logInverse, this.anchorWeights);
    this.row = tableRow(position, model.tables.rows, top);
  }

  /** A table per channel of what is coded first: latents (cae2017) or hyperlatents (cae2026). */
  get tables(): readonly Table[] {
    return this.model.tables.row(this.row);
  }

  /** Whether the position is above the ladder's top, where files have a detail layer. */
  get aboveLadder(): boolean {
    return this.position > this.model.manifest.ladder_top;
  }
}
