/** What a page and its worker send each other. */

import type { PlainError } from "./errors.ts";
import type { Capabilities, EncodeOptions } from "./options.ts";
import type { Settings } from "./runtime/onnx.ts";
import type { Part } from "./tiles/decoder.ts";

/** What the page asks for. */
export type Request =
  | { kind: "start"; models: string; runtime: Omit<Settings, "folder"> & { folder: string } }
  | { kind: "load"; id: number; use: "decode" | "encode" }
  | {
      kind: "decode";
      id: number;
      data: Uint8Array;
      scale: 1 | 8;
      maxPixels: number;
      previews: boolean;
      parts: boolean;
    }
  | {
      kind: "encode";
      id: number;
      rgba: Uint8ClampedArray;
      height: number;
      width: number;
      options: Omit<EncodeOptions, "signal" | "onProgress">;
    }
  | { kind: "abort"; id: number };

/** What the worker answers: some of the parts, then a result or an error. */
export type Answer =
  | { kind: "preview" | "part"; id: number; part: Part }
  | { kind: "progress"; id: number; share: number }
  | { kind: "loaded"; id: number; capabilities: Capabilities }
  | { kind: "decoded"; id: number; picture: Part }
  | { kind: "encoded"; id: number; file: Uint8Array<ArrayBuffer> }
  | { kind: "error"; id: number; error: PlainError; fatal: boolean };
