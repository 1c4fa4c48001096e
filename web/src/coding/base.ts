/**
 * What an architecture does with one segment; `cae2017` and `cae2026` implement it.
 *
 *     encode: pixels -> analyse -> latents -> encode -> payload
 *     decode: payload -> decode -> latents -> synthesise -> pixels
 */

/** Rows and columns. */
export type Shape = readonly [number, number];

/** What the decoder has of a segment once its payload is decoded. */
export interface Decoded {
  /** (channels, rows, columns). */
  latents: Float32Array;
  /** Of the symbols, shaped alike, which the detail layer is coded by; cae2026 alone. */
  magnitudes: Uint8Array | undefined;
}

export interface Encoded {
  payload: Uint8Array;
  /** What the decoder will have of it. */
  decoded: Decoded;
}

/** An architecture, conditioned on a ladder position of a model. */
export interface SegmentCoder {
  /** Latents, (channels, height / stride, width / stride), of rgb pixels whose sides are multiples of the stride. */
  analyse(rgb: Uint8Array, height: number, width: number): Promise<Float32Array>;

  /**
   * The payload of a segment's latents.
   *
   * @param free mask (rows, columns) of positions whose latents do not matter: their symbols are 0
   */
  encode(latents: Float32Array, shape: Shape, free: Uint8Array | undefined): Promise<Encoded>;

  /**
   * The mirror of `encode`.
   *
   * @throws FormatError the payload is not what `encode` gives for this conditioning and shape
   */
  decode(payload: Uint8Array, shape: Shape): Promise<Decoded>;

  /** The mirror of `analyse`. */
  synthesise(latents: Float32Array, shape: Shape): Promise<Uint8Array>;
}
