/** One segment with `cae2017`: latents rounded, a table for each channel. */

import { Popper, Pusher } from "../entropy/coder.ts";
import * as factorized from "../entropy/factorized.ts";
import type { Conditioning } from "../models/conditioning.ts";
import type { Networks } from "../runtime/networks.ts";
import type { Decoded, Encoded, SegmentCoder, Shape } from "./base.ts";
import { nearest } from "./rounding.ts";

/**
 * The symbols of a payload, (channels, rows, columns).
 *
 * @throws FormatError it is not what `Cae2017.encode` gives for this conditioning and shape
 */
export function decodeSymbols(payload: Uint8Array, at: Conditioning, [rows, columns]: Shape): Int16Array {
  const popper = new Popper(payload);
  const symbols = factorized.pop(popper, rows * columns, at.tables);
  popper.finish();
  return symbols;
}

/** See `SegmentCoder`. */
export class Cae2017 implements SegmentCoder {
  readonly #at: Conditioning;
  readonly #networks: Networks;

  constructor(at: Conditioning, networks: Networks) {
    this.#at = at;
    this.#networks = networks;
  }

  analyse(rgb: Uint8Array, height: number, width: number): Promise<Float32Array> {
    return this.#networks.analyse(rgb, height, width, this.#at);
  }

  async encode(
    latents: Float32Array,
    [rows, columns]: Shape,
    free: Uint8Array | undefined,
  ): Promise<Encoded> {
    const size = rows * columns;
    const symbols = Int16Array.from(latents, (latent, i) =>
      free?.[i % size] ? 0 : nearest(latent * this.#at.gain[Math.floor(i / size)]),
    );
    const pusher = new Pusher();
    factorized.push(pusher, symbols, size, this.#at.tables);
    return { payload: pusher.bytes(), decoded: this.#scaled(symbols, size) };
  }

  async decode(payload: Uint8Array, shape: Shape): Promise<Decoded> {
    return this.#scaled(decodeSymbols(payload, this.#at, shape), shape[0] * shape[1]);
  }

  synthesise(latents: Float32Array, [rows, columns]: Shape): Promise<Uint8Array> {
    return this.#networks.synthesise(latents, rows, columns, this.#at);
  }

  #scaled(symbols: Int16Array, size: number): Decoded {
    const latents = new Float32Array(symbols.length);
    for (const [channel, scale] of this.#at.inverseGain.entries()) {
      for (let i = channel * size; i < (channel + 1) * size; i++) {
        latents[i] = symbols[i] * scale;
      }
    }
    return { latents, magnitudes: undefined };
  }
}
