/** The page: a photo is encoded in it, and shown beside what the browser's own encoders make of it. */

import "../src/element.ts";
import { appearance, Painter, uprightSize } from "../src/display.ts";
import { decode, encode, load, readHeader, readMetadata } from "../src/index.ts";
import { abilities, hasSimd, showAbilities } from "./browser.ts";
import { Dial } from "./dial.ts";
import { showGallery, takeExample } from "./gallery.ts";
import { keepOffline } from "./offline.ts";
import { isCae, type Photo, readPhoto } from "./photo.ts";
import * as rivals from "./rivals.ts";
import { fromFragment, isPicture, linkTo, MAX_BYTES } from "./share.ts";
import { type Line, showTable } from "./table.ts";
import { Viewer } from "./viewer.ts";
import { dimensions, plain, seconds, size } from "./words.ts";

const OURS = "caesura";
const ORIGINAL = "Original";

/** A picture that can be chosen for a side of the stage. */
interface Choice {
  canvas: HTMLCanvasElement;
  bytes: number;
}

/** What the page shows. */
interface Shown {
  /** Of its file, without the extension. */
  name: string;
  /** As shown, upright. */
  width: number;
  height: number;
  /** Missing for a .cae file that was opened. */
  photo?: Photo;
  file?: Uint8Array;
  choices: Map<string, Choice>;
  lines: Line[];
}

const at = <Kind extends HTMLElement>(id: string): Kind => document.getElementById(id) as Kind;
const sides = { left: at<HTMLSelectElement>("left"), right: at<HTMLSelectElement>("right") };
const tags = { left: at("left-tag"), right: at("right-tag") };
const viewer = new Viewer(at("stage"), { left: at("over"), right: at("under") }, at("divider"), (zoom) => {
  for (const button of document.querySelectorAll<HTMLElement>("[data-zoom]")) {
    button.setAttribute("aria-pressed", String(button.dataset.zoom === String(zoom)));
  }
});
const dial = new Dial(at("dial"), () => void run(encodePhoto));

let shown: Shown | undefined;
/** Ends the work that goes on. */
let work = new AbortController();
let touched = false;
/** What the sides show if it is there. */
const wanted = { left: OURS, right: "JPEG" };
/** What they show. */
const current = { left: "", right: "" };

/** Ends what goes on and does something else; what goes wrong with it is told, and the page goes on. */
async function run(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
  work.abort();
  work = new AbortController();
  const { signal } = work;
  touched = true;
  at("alert").hidden = true;
  at("progress").hidden = true;
  at("work").setAttribute("aria-busy", "true");
  try {
    await task(signal);
  } catch (error) {
    if (!signal.aborted) {
      at("alert").hidden = false;
      at("alert").textContent = plain(error);
      say("");
    }
  }
  if (!signal.aborted) {
    at("work").setAttribute("aria-busy", "false");
    at("progress").hidden = true;
  }
}

function say(text: string): void {
  at("status").textContent = text;
}

async function openFile(file: File, signal: AbortSignal): Promise<void> {
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  history.replaceState(null, "", location.pathname + location.search); // without the last example's name
  if (isCae(start) || file.name.toLowerCase().endsWith(".cae")) {
    await openCae(new Uint8Array(await file.arrayBuffer()), file.name, signal);
    return;
  }
  say(`Reading ${file.name}`);
  const photo = await readPhoto(file);
  signal.throwIfAborted();
  const { width, height } = photo.image;
  const choices = new Map([[ORIGINAL, { canvas: drawn(photo.image), bytes: photo.bytes }]]);
  begin({ name: withoutExtension(photo.name), width, height, photo, choices, lines: [] });
  dial.reset(width * height);
  await encodePhoto(signal);
}

/** Encodes the photo to the size that is set, and shows it beside the rivals. */
async function encodePhoto(signal: AbortSignal): Promise<void> {
  const target = shown;
  if (!target?.photo) {
    return;
  }
  const { image } = target.photo;
  say("Encoding");
  const progress = at<HTMLProgressElement>("progress");
  progress.removeAttribute("value");
  progress.hidden = false;
  await load("encode");
  const start = performance.now();
  const file = await encode(image, {
    ...dial.target,
    signal,
    onProgress: (share) => {
      progress.value = share;
    },
  });
  const encodeSeconds = since(start);
  signal.throwIfAborted();
  progress.hidden = true;
  say("Decoding");
  await load("decode");
  const startDecoding = performance.now();
  const decoded = await decode(file, { signal });
  const decodeSeconds = since(startDecoding);
  signal.throwIfAborted();

  target.file = file;
  dial.made(file.length);
  target.choices.set(OURS, { canvas: drawn(decoded), bytes: file.length });
  target.lines = [{ name: OURS, bytes: file.length, encodeSeconds, decodeSeconds }];
  refresh();
  say(`Encoded: ${size(file.length)}, ${seconds(encodeSeconds)}`);
  await encodeRivals(target, image, file.length, signal);
}

async function encodeRivals(
  target: Shown,
  image: ImageData,
  bytes: number,
  signal: AbortSignal,
): Promise<void> {
  const there = await rivals.available();
  const source = rivals.canvasOf(image);
  const [ours] = target.lines as [Line];
  const made: Line[] = [];
  const waiting = rivals.RIVALS.map(({ name }) => name).filter((name) => there.has(name));
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const trying = [name, ...waiting].map((one) => ({ name: one, note: "encoding" }));
    target.lines = [ours, ...made, ...trying];
    showTable(at("results"), target.lines, image.width * image.height);
    const { blob, picture, quality, fits, ...times } = await rivals.encode(source, name, bytes, signal);
    signal.throwIfAborted();
    const canvas = canvasOf(picture.width, picture.height);
    canvas.getContext("2d")?.drawImage(picture, 0, 0);
    picture.close();
    target.choices.set(name, { canvas, bytes: blob.size });
    made.push({ name, note: fits ? `quality ${quality}` : "its smallest", bytes: blob.size, ...times });
    target.lines = [ours, ...made, ...trying.slice(1)];
    refresh();
  }
  at("lacks").replaceChildren(
    ...rivals.RIVALS.filter(({ name }) => !there.has(name)).map(({ name }) =>
      item(`${name} is left out: this browser cannot encode it.`),
    ),
    ...made
      .filter((line) => (line.bytes ?? 0) > bytes)
      .map((line) => item(`${line.name} does not get as small as ${size(bytes)}.`)),
  );
}

async function openCae(file: Uint8Array, name: string, signal: AbortSignal): Promise<void> {
  const header = readHeader(file);
  const how = appearance(await readMetadata(file));
  signal.throwIfAborted();
  const [width, height] = uprightSize(header.width, header.height, how.orientation);
  const canvas = document.createElement("canvas");
  const painter = new Painter(canvas, header.width, header.height, how);
  const choices = new Map([[OURS, { canvas, bytes: file.length }]]);
  const line = { name: OURS, bytes: file.length };
  begin({ name: withoutExtension(name), width, height, file, choices, lines: [line] });
  say("Decoding");
  await load("decode");
  const start = performance.now();
  const whole = await decode(file, {
    signal,
    onPreview: (part, left, top, scale) => painter.draw(part, left, top, scale),
    onPart: (part, left, top) => painter.draw(part, left, top),
  });
  const decodeSeconds = since(start);
  signal.throwIfAborted();
  painter.draw(whole, 0, 0);
  if (shown) {
    shown.lines = [{ ...line, decodeSeconds }];
  }
  refresh();
  say(`Decoded: ${width} × ${height}, ${seconds(decodeSeconds)}`);
}

/** Shows something new. */
function begin(next: Shown): void {
  const inStart = at("start").contains(document.activeElement);
  shown = next;
  at("start").hidden = true;
  at("work").hidden = false;
  at("work").classList.toggle("single", !next.photo);
  at("name").textContent = next.name;
  const original = next.photo ? `; ${size(next.photo.bytes)} as it came` : "";
  at("facts").textContent = dimensions(next.width, next.height) + original;
  at("lacks").replaceChildren();
  at("dial").hidden = !next.photo;
  viewer.setSize(next.width, next.height);
  refresh();
  if (inStart) {
    at("stage").focus();
  }
}

/** Brings selects, stage, table and buttons to what is shown. */
function refresh(): void {
  if (!shown) {
    return;
  }
  const names = [...shown.choices.keys()];
  const order = [OURS, ...rivals.RIVALS.map(({ name }) => name), ORIGINAL].filter((name) =>
    names.includes(name),
  );
  const left = names.includes(wanted.left) ? wanted.left : (order[0] as string);
  const others = order.filter((name) => name !== left);
  const right = others.includes(wanted.right) ? wanted.right : (others.at(-1) ?? left);
  Object.assign(current, { left, right });
  for (const side of ["left", "right"] as const) {
    const name = current[side];
    sides[side].replaceChildren(...order.map((one) => new Option(one, one, false, one === name)));
    const choice = shown.choices.get(name) as Choice;
    tags[side].textContent = `${name} ${size(choice.bytes)}`;
    if (side === "left" || left !== right) {
      viewer.show(side, choice.canvas);
    }
  }
  at("stage").classList.toggle("alone", left === right);
  showTable(at("results"), shown.lines, shown.width * shown.height);
  for (const id of ["save", "save-png", "share"]) {
    at<HTMLButtonElement>(id).disabled = !shown.file;
  }
  at("link").hidden = true;
}

/** Puts on a side what its select says; if that is on the other side, the two change places. */
function choose(side: "left" | "right"): void {
  const other = side === "left" ? "right" : "left";
  const name = sides[side].value;
  if (name === current[other]) {
    wanted[other] = current[side];
  }
  wanted[side] = name;
  refresh();
}

async function share(): Promise<void> {
  if (!shown?.file) {
    return;
  }
  const bytes = shown.file.length;
  if (bytes > MAX_BYTES) {
    const most = size(MAX_BYTES);
    if (shown.photo) {
      say(`A link holds at most ${most}; the dial is set to that. Share again when it is encoded.`);
      dial.setBytes(MAX_BYTES);
      await run(encodePhoto);
    } else {
      say(`A link holds at most ${most}; this file has ${size(bytes)}.`);
    }
    return;
  }
  const link = linkTo(shown.file);
  at("link").hidden = false;
  at<HTMLInputElement>("url").value = link;
  at<HTMLInputElement>("url").select();
  try {
    await navigator.clipboard.writeText(link);
    say("The link is copied.");
  } catch {
    say("The link is in the field below the buttons.");
  }
}

/** Opens what the address asks for. */
async function openFragment(): Promise<void> {
  if (!isPicture(location.hash)) {
    return;
  }
  await run(async (signal) => {
    const asked = fromFragment(location.hash);
    if ("cae" in asked) {
      await openCae(asked.cae, "picture from a link", signal);
    } else {
      const { data, title } = await takeExample(asked.example, signal);
      await openCae(data, title, signal);
    }
  });
}

function save(blob: Blob, extension: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${shown?.name ?? "picture"}.${extension}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A canvas with upright pixels in sRGB. */
function drawn(image: ImageData): HTMLCanvasElement {
  const canvas = canvasOf(image.width, image.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

function canvasOf(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function item(text: string): HTMLLIElement {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

function since(start: number): number {
  return (performance.now() - start) / 1000;
}

function withoutExtension(name: string): string {
  return name.replace(/\.[^.]*$/, "") || name;
}

function listen(): void {
  const take = (files: FileList | null | undefined): void => {
    const file = files?.[0];
    if (file) {
      void run((signal) => openFile(file, signal));
    }
  };
  const input = at<HTMLInputElement>("file");
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => input.click());
  }
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // the same file can be chosen again
  });
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) {
      event.preventDefault();
      document.body.classList.add("dragging");
    }
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) {
      document.body.classList.remove("dragging");
    }
  });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dragging");
    if (event.dataTransfer?.files.length) {
      event.preventDefault();
      take(event.dataTransfer.files);
    }
  });
  for (const side of ["left", "right"] as const) {
    sides[side].addEventListener("change", () => choose(side));
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-zoom]")) {
    const zoom = button.dataset.zoom as string;
    button.addEventListener("click", () => viewer.setZoom(zoom === "fit" ? "fit" : Number(zoom)));
  }
  at("save").addEventListener("click", () => {
    if (shown?.file) {
      save(new Blob([shown.file as Uint8Array<ArrayBuffer>], { type: "image/x-caesura" }), "cae");
    }
  });
  at("save-png").addEventListener("click", () => {
    shown?.choices.get(OURS)?.canvas.toBlob((blob) => blob && save(blob, "png"));
  });
  at("share").addEventListener("click", () => void share());
  window.addEventListener("hashchange", () => void openFragment());
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, () => {
      touched = true;
    });
  }
}

async function start(): Promise<void> {
  listen();
  await keepOffline(() => !touched);
  const panel = at("abilities");
  showAbilities(panel, await abilities());
  if (!hasSimd()) {
    throw new Error(
      "This browser lacks WebAssembly SIMD, which caesura needs. A newer browser can show this page.",
    );
  }
  await openFragment();
  await showGallery(at("examples"), at("gallery"));
  const runsOn = await load("decode");
  showAbilities(panel, await abilities(runsOn));
  await load("encode"); // so that the page can encode offline, too
  showAbilities(panel, await abilities(runsOn, true));
}

void start().catch((error) => {
  at("alert").hidden = false;
  at("alert").textContent = plain(error);
});
