/**
 * A model as it is stored for the web: a gzip stream of a safetensors file, which `caesura export --web` wrote.
 *
 * safetensors: the length of a JSON object in 8 bytes, the object, which tells type, shape and place of each
 * array, then the arrays.
 */

import { joined } from "../bytes.ts";
import { ModelError } from "../errors.ts";

export const FORMAT = "caesura-web-1";
const MOST_BYTES = 1 << 28;

const TYPES = {
  U8: Uint8Array,
  I8: Int8Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
} as const;
type Types = typeof TYPES;

/** Facts of a model that coding depends on. */
export interface Manifest {
  format: string;
  name: string;
  id: number;
  architecture: "cae2017" | "cae2026";
  /** Pixels. */
  stride: number;
  smallest_side: number;
  halo: number;
  synthesis_halo: number;
  /** The ladder position at which the ladder ends, in hundredths. */
  ladder_top: number;
  /** Pairs of quality and ladder position. */
  quality_scale: [number, number][];
}

/** The arrays of one file by name. */
export class Arrays {
  readonly manifest: Manifest;
  readonly #field: string;
  readonly #data: ArrayBuffer;
  readonly #start: number;
  readonly #entries: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

  /**
   * @param data a safetensors file
   * @param field what errors name
   * @throws ModelError it is none, or not one of a model for the web
   */
  constructor(data: ArrayBuffer, field: string) {
    this.#field = field;
    this.#data = data;
    try {
      const length = Number(new DataView(data).getBigUint64(0, true));
      const { __metadata__, ...entries } = JSON.parse(
        new TextDecoder().decode(new Uint8Array(data, 8, length)),
      );
      this.#start = 8 + length;
      this.#entries = entries;
      this.manifest = JSON.parse(__metadata__.manifest);
    } catch (error) {
      throw new ModelError(`model ${field}: not a model for the web: ${error}`);
    }
    if (this.manifest.format !== FORMAT) {
      throw new ModelError(`model ${field}: format is ${this.manifest.format}; ${FORMAT} is known here`);
    }
  }

  /** Whether there is an array of a name. */
  has(name: string): boolean {
    return Object.hasOwn(this.#entries, name);
  }

  /** The shape of an array. */
  shape(name: string): number[] {
    return this.#entry(name).shape;
  }

  /**
   * An array; it shares the file's memory.
   *
   * @throws ModelError it is missing, of another type, or beyond the file
   */
  get<T extends keyof Types>(name: string, type: T): InstanceType<Types[T]> {
    const { dtype, shape, data_offsets: offsets } = this.#entry(name);
    const kind = TYPES[type];
    const [from, to] = offsets.map((offset) => offset + this.#start);
    const count = shape.reduce((product, side) => product * side, 1);
    if (dtype !== type || to - from !== count * kind.BYTES_PER_ELEMENT || to > this.#data.byteLength) {
      throw new ModelError(`model ${this.#field}: ${name} has ${dtype} ${shape}; ${type} expected`);
    }
    return new kind(this.#data, from, count) as InstanceType<Types[T]>;
  }

  #entry(name: string) {
    if (!this.has(name)) {
      throw new ModelError(`model ${this.#field}: array ${name} is missing`);
    }
    return this.#entries[name];
  }
}

/**
 * Reads a file of a model.
 *
 * @throws ModelError it is damaged or too large
 */
export async function read(stream: ReadableStream<Uint8Array>, field: string): Promise<Arrays> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const inflated = stream.pipeThrough(
      new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>,
    );
    for (const reader = inflated.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      parts.push(value);
      size += value.length;
      if (size > MOST_BYTES) {
        await reader.cancel();
        throw new ModelError(`model ${field}: more than ${MOST_BYTES} bytes`);
      }
    }
  } catch (error) {
    throw error instanceof ModelError ? error : new ModelError(`model ${field}: cannot be read: ${error}`);
  }
  return new Arrays(joined(parts).buffer, field);
}
