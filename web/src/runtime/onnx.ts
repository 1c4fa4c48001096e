/** ONNX Runtime Web; its only importer. */

import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import type { Capabilities } from "../options.ts";
import type { Graph, Load, Run, Tensor } from "./networks.ts";

type Ort = typeof import("onnxruntime-web");

const TRANSFORMS: readonly Graph[] = ["analysis", "synthesis"];

let attempts = 0;
let successes = 0;

/** Whether the runtime could not be started: its own files did not come, which it does not try again. */
export function isLost(): boolean {
  return attempts > 0 && successes === 0;
}

/** What the runtime is started with. */
export interface Settings {
  /** Folder of its .wasm files. */
  folder: URL;
  threads: number;
  webgpu: boolean;
}

/** Starts the runtime; gives what loads graphs, and what these run on. */
export async function start(settings: Settings): Promise<{ load: Load; capabilities: Capabilities }> {
  const gpu = settings.webgpu && (await hasGpu());
  const ort: Ort = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  const name = gpu ? "ort-wasm-simd-threaded.asyncify" : "ort-wasm-simd-threaded";
  ort.env.wasm.wasmPaths = {
    mjs: new URL(`${name}.mjs`, settings.folder).href,
    wasm: new URL(`${name}.wasm`, settings.folder).href,
  };
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? settings.threads : 1;
  ort.env.logLevel = "error";
  const onProvider = async (model: Uint8Array, executionProviders: string[]): Promise<Run> => {
    attempts++;
    const session = await ort.InferenceSession.create(model, { executionProviders, logSeverityLevel: 3 });
    successes++;
    return (inputs) => run(ort, session, inputs);
  };
  const load: Load = async (graph, model) => {
    if (!gpu || !TRANSFORMS.includes(graph)) {
      return onProvider(model, ["wasm"]);
    }
    let current = await onProvider(model, ["webgpu", "wasm"]);
    return async (inputs) => {
      try {
        return await current(inputs);
      } catch {
        current = await onProvider(model, ["wasm"]); // the GPU is lost, or its memory too small
        return current(inputs);
      }
    };
  };
  return {
    load,
    capabilities: { transforms: gpu ? "webgpu" : "wasm", threads: ort.env.wasm.numThreads },
  };
}

async function run(ort: Ort, session: InferenceSession, inputs: Record<string, Tensor>): Promise<Tensor> {
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, { data, shape }] of Object.entries(inputs)) {
    feeds[name] = new ort.Tensor(data instanceof Float32Array ? "float32" : "uint8", data, shape);
  }
  const output = (await session.run(feeds))[session.outputNames[0]];
  const result = { data: (await output.getData()) as Float32Array | Uint8Array, shape: output.dims };
  output.dispose();
  return result;
}

/** Whether there is a GPU; one that is imitated by the processor is slower than WebAssembly. */
async function hasGpu(): Promise<boolean> {
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<Adapter | null> } }).gpu;
  try {
    const adapter = await gpu?.requestAdapter();
    return adapter != null && !adapter.isFallbackAdapter && !adapter.info?.isFallbackAdapter;
  } catch {
    return false;
  }
}

interface Adapter {
  isFallbackAdapter?: boolean;
  info?: { isFallbackAdapter?: boolean };
}
