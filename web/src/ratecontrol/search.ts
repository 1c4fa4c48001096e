/**
 * The search for the ladder position that gives the largest file within a size.
 *
 * Each trial codes the whole picture, so the search needs few of them: it interpolates the logarithm of bytes,
 * which is nearly linear in the position, and bisects if that does not converge. The result has been coded and
 * fits.
 */

import { ConfigError } from "../errors.ts";
import { POSITION_MAX, POSITION_MIN } from "../format/container.ts";
import { interpolate, type Scale } from "../models/ladder.ts";

const INTERPOLATED = 8; // trials by linear interpolation; further ones bisect
// The tolerance below a size: as a share of it or in bytes, whichever is larger.
const SHARE = 0.01;
const BYTES = 40;
const AVERAGE_SLOPE = 6e-4; // of the logarithm of bytes, for a hundredth
/** Pairs of bits per pixel and quality of photographs on average. */
const USUAL: Scale = [
  [0.018, 1],
  [0.04, 12],
  [0.1, 24],
  [0.25, 36],
  [0.6, 48],
  [1.17, 60],
  [1.98, 72],
  [4.53, 100],
];

interface Trial {
  position: number;
  file: Uint8Array<ArrayBuffer>;
}

/** The quality at which photographs of so many pixels take so many bytes on average. */
export function usualQuality(bytes: number, pixels: number): number {
  return interpolate((8 * bytes) / pixels, USUAL);
}

/**
 * The file of the highest ladder position that has at most `bytes`, or is close to it.
 *
 * @param attempt codes the picture at a ladder position in hundredths
 * @param start the position that is tried first
 * @param jump sizes may jump between this position and the next: the ladder's top
 * @throws ConfigError `bytes` is no integer of 1 or more, or no position gives so small a file
 */
export async function search(
  bytes: number,
  attempt: (position: number) => Promise<Uint8Array<ArrayBuffer>>,
  start: number,
  jump: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (!Number.isInteger(bytes) || bytes < 1) {
    throw new ConfigError(`bytes is ${bytes}; an integer of 1 or more is allowed`);
  }
  const near = bytes - Math.max(SHARE * bytes, BYTES);
  const aim = Math.log(Math.max(1, (bytes + near) / 2));
  let low: Trial | undefined; // the highest position that fits ...
  let high: Trial | undefined; // ... and the lowest that does not
  let position = start;
  for (let trials = 1; ; trials++) {
    const trial = { position, file: await attempt(position) };
    if (trial.file.length > bytes) {
      high = trial;
    } else if (trial.file.length >= near) {
      return trial.file;
    } else {
      low = trial;
    }
    const bottom = low?.position ?? POSITION_MIN - 1;
    const top = high?.position ?? POSITION_MAX + 1;
    if (top - bottom <= 1) {
      if (low === undefined) {
        throw new ConfigError(`bytes is ${bytes}; ${trial.file.length} or more is possible for this picture`);
      }
      return low.file;
    }
    position =
      trials < INTERPOLATED
        ? interpolated(low, high, bottom, top, aim, jump)
        : Math.floor((bottom + top) / 2);
  }
}

/** The position strictly between `bottom` and `top` where a line through the trials beside it meets the aim. */
function interpolated(
  low: Trial | undefined,
  high: Trial | undefined,
  bottom: number,
  top: number,
  aim: number,
  jump: number,
): number {
  const height = (trial: Trial) => Math.log(trial.file.length);
  const near = (low ?? high) as Trial;
  let slope = AVERAGE_SLOPE;
  if (low !== undefined && high !== undefined) {
    if (low.position < jump && high.position > jump + 1) {
      return jump; // perhaps the aim is within the jump
    }
    slope = Math.max((height(high) - height(low)) / (high.position - low.position), AVERAGE_SLOPE / 16);
  }
  const position = Math.round(near.position + (aim - height(near)) / slope);
  return Math.min(Math.max(position, bottom + 1), top - 1);
}
