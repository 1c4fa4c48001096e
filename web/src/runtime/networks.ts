/** The float networks of a model, run by ONNX Runtime. */

import { ModelError } from "../errors.ts";
import type { Conditioning } from "../models/conditioning.ts";
import type { Model } from "../models/model.ts";
import type { Arrays } from "../models/package.ts";

export type Graph =
  | "analysis"
  | "synthesis"
  | "hyper_analysis"
  | "hyper_synthesis"
  | "means_0"
  | "means_1"
  | "means_2"
  | "means_3";

/** An array with its shape. */
export interface Tensor<T extends Float32Array | Uint8Array = Float32Array | Uint8Array> {
  data: T;
  shape: readonly number[];
}

/** Loads a graph, and gives a function that runs it. */
export type Load = (graph: Graph, model: Uint8Array) => Promise<Run>;
export type Run = (inputs: Record<string, Tensor>) => Promise<Tensor>;

/** The networks of a model; each is loaded when it is first run. */
export class Networks {
  readonly #model: Model;
  readonly #load: Load;
  readonly #encoding: () => Promise<Arrays>;
  readonly #loaded = new Map<Graph, Promise<Run>>();

  /** @param encoding gives the file that encoding needs, where analysis and hyper-analysis are */
  constructor(model: Model, load: Load, encoding: () => Promise<Arrays>) {
    this.#model = model;
    this.#load = load;
    this.#encoding = encoding;
  }

  /** Latents of rgb pixels, (H, W, 3); the sides are multiples of the stride, and at least the smallest side. */
  analyse(rgb: Uint8Array, height: number, width: number, at: Conditioning): Promise<Float32Array> {
    return this.#run("analysis", at, { input: { data: rgb, shape: [height, width, 3] } });
  }

  /** Pixels of latents, (channels, rows, columns); the mirror of `analyse`. */
  synthesise(latents: Float32Array, rows: number, columns: number, at: Conditioning): Promise<Uint8Array> {
    return this.#run("synthesis", at, {
      input: { data: latents, shape: [this.#model.channels, rows, columns] },
    });
  }

  /** Hyperlatents of latents in quantization steps, (channels, 4 rows, 4 columns). */
  hyperAnalyse(scaled: Float32Array, rows: number, columns: number, at: Conditioning): Promise<Float32Array> {
    const shape = [this.#model.channels, rows, columns];
    return this.#run("hyper_analysis", at, { input: { data: scaled, shape } });
  }

  /** Features, (F, 4 rows, 4 columns), of hyperlatents. */
  hyperSynthesise(
    hyperlatents: Int16Array,
    rows: number,
    columns: number,
    at: Conditioning,
  ): Promise<Float32Array> {
    const shape = [this.#model.tables.channels, rows, columns];
    return this.#run("hyper_synthesis", at, { input: { data: Float32Array.from(hyperlatents), shape } });
  }

  /**
   * The means of a pass, each channel's where the pass codes it: (channels, rows / 2, columns / 2).
   *
   * @param features (F, rows, columns), from `hyperSynthesise`; even sides
   * @param known (channels, rows, columns), latents decoded so far, zero elsewhere; not looked at in pass 0
   */
  means(
    pass: number,
    features: Float32Array,
    known: Float32Array,
    rows: number,
    columns: number,
    at: Conditioning,
  ): Promise<Float32Array> {
    const input = { data: features, shape: [features.length / (rows * columns), rows, columns] };
    const decoded = { data: known, shape: [this.#model.channels, rows, columns] };
    return this.#run(`means_${pass}` as Graph, at, pass > 0 ? { input, known: decoded } : { input });
  }

  async #run<T extends Float32Array | Uint8Array>(
    graph: Graph,
    at: Conditioning,
    inputs: Record<string, Tensor>,
  ): Promise<T> {
    const run = await this.#graph(graph);
    const mix = { data: at.anchorWeights, shape: [at.anchorWeights.length] };
    return (await run(this.#model.control === undefined ? inputs : { ...inputs, mix })).data as T;
  }

  #graph(graph: Graph): Promise<Run> {
    let loaded = this.#loaded.get(graph);
    if (loaded === undefined) {
      loaded = this.#loadGraph(graph);
      this.#loaded.set(graph, loaded);
      loaded.catch(() => this.#loaded.delete(graph)); // a file that did not come may come the next time
    }
    return loaded;
  }

  async #loadGraph(graph: Graph): Promise<Run> {
    const forEncoding = graph === "analysis" || graph === "hyper_analysis";
    const arrays = forEncoding ? await this.#encoding() : this.#model.arrays;
    const { name, id } = this.#model.manifest;
    if (arrays.manifest.id !== id) {
      throw new ModelError(`model ${name}: ${graph} is of model ${arrays.manifest.id}; ${id} expected`);
    }
    const content = arrays.get(`graphs/${graph}`, "U8");
    try {
      return await this.#load(graph, content);
    } catch (error) {
      throw new ModelError(`model ${name}: ${graph} cannot be loaded: ${error}`);
    }
  }
}
