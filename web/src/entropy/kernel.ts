/**
 * Scaled sums of integers in WebAssembly, eight at a time: most of the work of entropy control.
 *
 * kernel.wat is the source; a test checks that the binary is what it assembles to.
 */

export const BINARY =
  "AGFzbQEAAAABCAFgBH9/f38AAwIBAAUDAQABBxACBm1lbW9yeQIAA2FkZAAACqQBAaEBAgF/AnsgA/0QIQUgASACQXhxaiEEAkADQCABIARGDQEgAf0BAwAhBiAAIAD9AAQAIAYgBf28Af2uAf0LBAAgACAA/QAEECAGIAX9vQH9rgH9CwQQIAFBCGohASAAQSBqIQAMAAsLIAEgAkEHcWohBAJAA0AgASAERg0BIAAgACgCACABLAAAIANsajYCACABQQFqIQEgAEEEaiEADAALCws=";
const PAGE = 1 << 16; // bytes of WebAssembly's memory
const ALIGNMENT = 16;

let compiled: WebAssembly.Module | undefined;

interface Exports {
  memory: WebAssembly.Memory;
  add(sums: number, weights: number, count: number, factor: number): void;
}

/** Weights that are kept in WebAssembly's memory, and sums behind them. */
export class Kernel {
  readonly #exports: Exports;
  #end = 0; // of the weights

  constructor() {
    compiled ??= new WebAssembly.Module(Uint8Array.from(atob(BINARY), (char) => char.charCodeAt(0)));
    this.#exports = new WebAssembly.Instance(compiled).exports as unknown as Exports;
  }

  /** Keeps weights; where they are. All must be kept before the first sums. */
  keep(weights: Int8Array): number {
    const start = this.#end;
    this.#end = this.#reserve(start, weights.length);
    new Int8Array(this.#exports.memory.buffer).set(weights, start);
    return start;
  }

  /** `count` sums, in the memory that sums before these had. */
  sums(count: number): Int32Array {
    this.#reserve(this.#end, 4 * count);
    return new Int32Array(this.#exports.memory.buffer, this.#end, count);
  }

  /** sums[at + i] += weights[i] * factor, for `count` of the weights from `from`; the factor has 16 bits. */
  add(sums: Int32Array, at: number, from: number, count: number, factor: number): void {
    this.#exports.add(sums.byteOffset + 4 * at, from, count, factor);
  }

  /** Makes room; the end of what was asked for, rounded up. */
  #reserve(start: number, bytes: number): number {
    const end = Math.ceil((start + bytes) / ALIGNMENT) * ALIGNMENT;
    const { memory } = this.#exports;
    const lacking = end - memory.buffer.byteLength;
    if (lacking > 0) {
      memory.grow(Math.ceil(lacking / PAGE));
    }
    return end;
  }
}
