/** The worker: takes requests one after another. */

import { Codec } from "./codec.ts";
import { toPlain } from "./errors.ts";
import type { Answer, Request } from "./messages.ts";
import { Store } from "./models/store.ts";
import type { Capabilities } from "./options.ts";
import * as webp from "./picture/webp.ts";
import { isLost, start } from "./runtime/onnx.ts";
import type { Part } from "./tiles/decoder.ts";

type Work = Exclude<Request, { kind: "start" | "abort" }>;

let started: Promise<{ codec: Codec; capabilities: Capabilities }> | undefined;
let settings: Extract<Request, { kind: "start" }> | undefined;
let last: Promise<void> = Promise.resolve();
const aborted = new Set<number>();
const waiting = new Set<number>();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  if (data.kind === "start") {
    settings = data;
  } else if (data.kind === "abort") {
    if (waiting.has(data.id)) {
      aborted.add(data.id);
    }
  } else {
    waiting.add(data.id);
    // ONNX Runtime runs one network at a time, and two pictures take twice the memory.
    last = last.then(() => answer(data));
  }
};

async function answer(request: Work): Promise<void> {
  try {
    check(request.id);
    const { codec, capabilities } = await begin();
    await run(codec, request, capabilities);
  } catch (error) {
    send({ kind: "error", id: request.id, error: toPlain(error), fatal: isLost() });
  } finally {
    waiting.delete(request.id);
    aborted.delete(request.id);
  }
}

async function run(codec: Codec, request: Work, capabilities: Capabilities): Promise<void> {
  const { id } = request;
  switch (request.kind) {
    case "load":
      await codec.load(request.use);
      send({ kind: "loaded", id, capabilities });
      return;
    case "decode": {
      const picture = await codec.decode(request.data, {
        scale: request.scale,
        maxPixels: request.maxPixels,
        onPreview: request.previews ? (part) => sendPart("preview", id, part) : undefined,
        onPart: request.parts ? (part) => sendPart("part", id, part) : undefined,
        pause: () => pause(id),
      });
      send({ kind: "decoded", id, picture }, [picture.rgba.buffer]);
      return;
    }
    case "encode": {
      const { rgba, height, width, options } = request;
      const file = await codec.encode(rgba, height, width, {
        options,
        pause: async (share) => {
          send({ kind: "progress", id, share });
          await pause(id);
        },
      });
      send({ kind: "progress", id, share: 1 });
      send({ kind: "encoded", id, file }, [file.buffer]);
    }
  }
}

/** Starts codec and runtime with the first request; if that fails, the next one tries again. */
function begin(): Promise<{ codec: Codec; capabilities: Capabilities }> {
  started ??= (async () => {
    const { models, runtime } = settings as Extract<Request, { kind: "start" }>;
    const folder = new URL(runtime.folder);
    webp.useRuntime(folder);
    const { load, capabilities } = await start({ ...runtime, folder });
    return { codec: new Codec(new Store(new URL(models)), load), capabilities };
  })();
  started.catch(() => {
    started = undefined;
  });
  return started;
}

/** Lets messages come in, and ends work that was aborted. */
async function pause(id: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  check(id);
}

function check(id: number): void {
  if (aborted.has(id)) {
    throw new DOMException("aborted", "AbortError");
  }
}

function sendPart(kind: "preview" | "part", id: number, part: Part): void {
  send({ kind, id, part }, [part.rgba.buffer]);
}

function send(answer: Answer, transfer: Transferable[] = []): void {
  self.postMessage(answer, { transfer });
}
