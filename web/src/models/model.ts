/** A model, loaded and checked: tables, scale vectors and graphs. */

import { Control, INDICES } from "../entropy/control.ts";
import { TableGrid } from "../entropy/tables.ts";
import { ModelError } from "../errors.ts";
import type { Arrays, Manifest } from "./package.ts";

export const HYPER = 4; // latents per hyperlatent position each way
export const HYPERLATENT_LIMIT = 127;
export const PREVIEW_SCALE = 8;
export const COARSE_SCALE = 64;
const MAGNITUDE_LIMIT = 30;
const DETAIL_BANDS = 192;
const DETAIL_LOWEST = 1; // every symbol of the detail layer is coded: none may be lost, however unlikely

/** What decoding needs of a model. */
export interface Model {
  readonly manifest: Manifest;
  /** Latent channels. */
  readonly channels: number;
  /** A row per step of the rate scale, a table per channel of what is coded first. */
  readonly tables: TableGrid;
  /** (anchors, channels), natural logarithms of the scale vectors. */
  readonly logGain: Float32Array;
  readonly logInverse: Float32Array;
  readonly anchors: number;
  /** Entropy control of the latents and of the detail layer; cae2026 alone. */
  readonly control: Control | undefined;
  readonly detail: Control | undefined;
  /** Logarithms of the detail layer's step, in levels, at the ladder's top and at 100. */
  readonly detailLogStep: readonly [number, number];
  /** (channels + 1, 3 (stride / 8)^2), see `coding/preview`. */
  readonly preview: Float32Array | undefined;
  /** (positions, hyperlatent channels + 1, 3), see `coding/preview`; the positions lie evenly along the ladder. */
  readonly coarsePreview: Float32Array | undefined;
  readonly arrays: Arrays;
}

/**
 * The model of a file for decoding.
 *
 * @throws ModelError its parts are missing or do not belong together
 */
export function modelOf(arrays: Arrays): Model {
  const { manifest } = arrays;
  const tables = tableGrid(arrays, "tables");
  const logGain = arrays.get("scales/log_gain", "F32");
  const logInverse = arrays.get("scales/log_inverse", "F32");
  const [anchors, channels] = arrays.shape("scales/log_gain");
  const isFirst = manifest.architecture === "cae2017";
  if (!isFirst && manifest.architecture !== "cae2026") {
    throw new ModelError(
      `model ${manifest.name}: architecture is ${manifest.architecture}; cae2017 and cae2026 are known`,
    );
  }
  if (logInverse.length !== logGain.length || (isFirst && tables.channels !== channels)) {
    throw new ModelError(`model ${manifest.name}: tables and scales do not fit`);
  }
  const preview = arrays.has("preview/weights") ? arrays.get("preview/weights", "F32") : undefined;
  const coarsePreview = arrays.has("preview/coarse") ? arrays.get("preview/coarse", "F32") : undefined;
  const common = { manifest, channels, tables, logGain, logInverse, anchors, preview, coarsePreview, arrays };
  if (isFirst) {
    return { ...common, control: undefined, detail: undefined, detailLogStep: [0, 0] };
  }
  const control = controlOf(arrays, "control", channels, tables.channels, HYPER, HYPERLATENT_LIMIT, 0);
  const detail = controlOf(arrays, "detail", DETAIL_BANDS, channels, 2, MAGNITUDE_LIMIT, DETAIL_LOWEST);
  if (control.rows !== tables.rows) {
    throw new ModelError(`model ${manifest.name}: control has ${control.rows} rows; ${tables.rows} expected`);
  }
  const [first, last] = arrays.get("detail/log_step", "F64");
  return { ...common, control, detail, detailLogStep: [first, last] };
}

function controlOf(
  arrays: Arrays,
  name: string,
  channels: number,
  inputs: number,
  below: number,
  limit: number,
  lowest: number,
): Control {
  const grid = tableGrid(arrays, name);
  if (grid.rows !== 1 || grid.channels !== INDICES) {
    throw new ModelError(`${name}: ${grid.rows} x ${grid.channels} tables; 1 x ${INDICES} expected`);
  }
  const weights = {
    bias: arrays.get(`${name}/bias`, "I32"),
    base: arrays.get(`${name}/base`, "I8"),
    near: arrays.get(`${name}/near`, "I8"),
    far: arrays.get(`${name}/far`, "I8"),
  };
  return new Control(weights, { channels, inputs, below, limit, lowest }, grid.row(0));
}

function tableGrid(arrays: Arrays, name: string): TableGrid {
  const [rows, channels] = arrays.shape(`${name}/low`);
  return new TableGrid(
    rows,
    channels,
    arrays.get(`${name}/low`, "I32"),
    arrays.get(`${name}/length`, "I32"),
    arrays.get(`${name}/frequencies`, "U32"),
  );
}
