/**
 * Service worker: keeps the page's files, and adds the headers that make the page cross-origin isolated.
 *
 * The build lists the files and a hash of them in files.json. Each version has a cache of its own. Small files are kept
 * when the worker is installed; models and ONNX Runtime when they are first used, and then in later versions, too.
 */

interface Extendable extends Event {
  waitUntil(promise: Promise<unknown>): void;
}

interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

interface Worker {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(kind: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(kind: "fetch", listener: (event: Fetching) => void): void;
}

/** files.json */
interface Files {
  version: string;
  files: string[];
}

const worker = self as unknown as Worker;
const PREFIX = `caesura ${worker.registration.scope} `;
const LIST = "files.json";
const LARGE = /^caesura\/(models\/.*\.bin$|ort)/;

worker.addEventListener("install", (event) => {
  event.waitUntil(update().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(worker.clients.claim());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(worker.registration.scope)) {
    return;
  }
  event.respondWith(answer(event));
});

/** Name of the cache that answers; until the next visit, files of one version fit together. */
let serving: string | undefined;

/** Keeps the files of the server's version, if it has another one, and drops those that are not served any more. */
async function update(): Promise<void> {
  const response = await fetch(located(LIST), { cache: "no-cache" });
  if (!response.ok) {
    throw new Error(`${LIST}: the server answered ${response.status}`);
  }
  const list = response.clone();
  const { version, files } = (await response.json()) as Files;
  const names = await versions();
  const name = PREFIX + version;
  if (names.at(-1) !== name) {
    await caches.delete(name);
    const [last, cache] = [await opened(names.at(-1)), await caches.open(name)];
    const wanted = [];
    for (const file of files) {
      if (!LARGE.test(file) || (await last?.match(located(file)))) {
        wanted.push(new Request(located(file), { cache: "no-cache" }));
      }
    }
    await cache.addAll(wanted);
    await cache.put(located(LIST), list); // last: a cache without it is not complete
  }
  const old = names.filter((one) => one !== name && one !== serving);
  await Promise.all(old.map((one) => caches.delete(one)));
}

/** Names of the complete caches, from old to new. */
async function versions(): Promise<string[]> {
  const found = [];
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && (await (await caches.open(name)).match(located(LIST)))) {
      found.push(name);
    }
  }
  return found;
}

/** A file of the page, kept or from the network, with the headers. */
async function answer(event: Fetching): Promise<Response> {
  const { request } = event;
  if (request.mode === "navigate") {
    serving = (await versions()).at(-1);
    event.waitUntil(update().catch(() => {})); // for the next visit; offline, there is none to be had
  }
  serving ??= (await versions()).at(-1);
  const cache = await opened(serving);
  const path = new URL(request.url).pathname.slice(new URL(worker.registration.scope).pathname.length);
  const address = located(path || "index.html");
  const kept = await cache?.match(address);
  if (kept) {
    return isolated(kept);
  }
  const response = await fetch(request);
  if (cache && response.ok && LARGE.test(path)) {
    event.waitUntil(cache.put(address, response.clone()).catch(() => {})); // the disk may be full
  }
  return isolated(response);
}

async function opened(name: string | undefined): Promise<Cache | undefined> {
  return name === undefined ? undefined : caches.open(name);
}

function located(path: string): string {
  return new URL(path, worker.registration.scope).href;
}

function isolated(response: Response): Response {
  if (response.type === "opaqueredirect" || response.status === 0) {
    return response;
  }
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  return new Response([101, 204, 205, 304].includes(status) ? null : response.body, {
    status,
    statusText,
    headers,
  });
}
