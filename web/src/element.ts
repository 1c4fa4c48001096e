/**
 * `<cae-image src="photo.cae" alt="...">` shows a .cae file where `<img>` cannot yet; importing this module defines it.
 *
 * Only pictures near the viewport hold pixels, and no more of them than twice the resolution at which they are shown.
 * One is decoded at a time, those in the viewport first.
 */

import { type Appearance, appearance, Painter, uprightSize } from "./display.ts";
import { decode, readHeader, readMetadata } from "./index.ts";
import { type Job, Queue } from "./queue.ts";

/** Pictures of more pixels are refused: decoding one takes four bytes a pixel. */
const MAX_PIXELS = 1 << 26;
/** How far from the viewport, in its own height and width, pictures are decoded and their pixels kept. */
const NEAR = "150%";
/** Pixels that are kept for a device pixel, along a side, so that zooming in finds some. */
const SURPLUS = 2;

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
  :host { display: inline-block; contain: size layout; min-width: 0; min-height: 0; overflow: clip }
  :host([hidden]) { display: none }
  div { width: 100%; height: 100%; object-fit: inherit; object-position: inherit }
  canvas { display: block; width: 100%; height: 100%; object-fit: inherit; object-position: inherit }
  canvas[width="0"], span:empty { display: none }
`);

const queue = new Queue();
const visible = observer("0px", (pixels, inside) => pixels.setVisible(inside));
const near = observer(NEAR, (pixels, inside) => pixels.setNear(inside));
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    pixelsOf.get(target)?.resized();
  }
});

/** A file that has come, and what its header and metadata say. */
interface Fetched {
  content: Blob;
  /** As it is stored. */
  width: number;
  height: number;
  shown: Appearance;
}

type Stage = "nothing" | "preview" | "picture";

/**
 * A picture from a .cae file, with the attributes of `<img>`: `src`, `alt`, `loading`, `width` and `height`.
 *
 * `loading="lazy"` fetches the file when the element comes near the viewport; otherwise it is fetched at once. In both
 * cases it is decoded near the viewport only, and again if it comes back. Fires `load` when the picture is first shown,
 * and `error` if it cannot be; neither bubbles.
 */
export class CaeImage extends HTMLElement {
  static readonly observedAttributes = ["src", "alt", "loading", "width", "height"];

  readonly #canvas = document.createElement("canvas");
  readonly #frame = document.createElement("div");
  readonly #text = document.createElement("span");
  readonly #layout = new CSSStyleSheet();
  readonly #pixels: Pixels;
  #fetching: AbortController | undefined;
  #file: Fetched | undefined;
  #error: Error | undefined;
  #loaded = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET, this.#layout];
    this.#canvas.setAttribute("part", "canvas");
    this.#text.setAttribute("part", "alt");
    this.#frame.append(this.#canvas, this.#text);
    root.append(this.#frame);
    this.#pixels = new Pixels(this, this.#canvas, {
      shown: () => this.#shown(),
      failed: (error) => this.#fail(error),
      start: () => this.#start(),
    });
    pixelsOf.set(this, this.#pixels);
  }

  get src(): string {
    const given = this.getAttribute("src") ?? "";
    return given && URL.canParse(given, this.baseURI) ? new URL(given, this.baseURI).href : given;
  }

  set src(src: string) {
    this.setAttribute("src", src);
  }

  get alt(): string {
    return this.getAttribute("alt") ?? "";
  }

  set alt(alt: string) {
    this.setAttribute("alt", alt);
  }

  get loading(): "lazy" | "eager" {
    return this.getAttribute("loading")?.toLowerCase() === "lazy" ? "lazy" : "eager";
  }

  set loading(loading: string) {
    this.setAttribute("loading", loading);
  }

  /** Pixels from left to right, as shown; 0 until the header is read. */
  get naturalWidth(): number {
    return this.#natural()[0];
  }

  /** Pixels from top to bottom, as shown; 0 until the header is read. */
  get naturalHeight(): number {
    return this.#natural()[1];
  }

  /** Whether nothing is left to wait for: the picture was shown, cannot be, or there is none. */
  get complete(): boolean {
    return !this.hasAttribute("src") || this.#loaded || this.#error !== undefined;
  }

  /** Why the picture cannot be shown; null if it can, or is not there yet. */
  get error(): Error | null {
    return this.#error ?? null;
  }

  connectedCallback(): void {
    this.#describe();
    this.#lay();
    for (const one of [visible, near, sizes]) {
      one.observe(this);
    }
    this.#startUnlessLazy();
  }

  disconnectedCallback(): void {
    for (const one of [visible, near, sizes]) {
      one.unobserve(this);
    }
    this.#pixels.setVisible(false);
    this.#pixels.setNear(false);
    if (!this.#file && !this.#error) {
      this.#fetching?.abort();
      this.#fetching = undefined;
    }
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (name === "src") {
      this.#reset();
      this.#describe();
      this.#lay();
      this.#startUnlessLazy();
      if (this.#pixels.near) {
        this.#start();
      }
    } else if (name === "loading") {
      this.#startUnlessLazy();
    } else if (before !== after) {
      this.#describe();
      this.#lay();
    }
  }

  #reset(): void {
    this.#fetching?.abort();
    this.#fetching = undefined;
    this.#file = undefined;
    this.#error = undefined;
    this.#loaded = false;
    this.#pixels.setFile(undefined);
  }

  #startUnlessLazy(): void {
    if (this.isConnected && this.loading === "eager") {
      this.#start();
    }
  }

  /** Fetches the file, unless that was begun. */
  #start(): void {
    if (this.#fetching || !this.hasAttribute("src")) {
      return;
    }
    this.#fetching = new AbortController();
    void this.#fetch(this.src, this.#fetching.signal);
  }

  async #fetch(url: string, signal: AbortSignal): Promise<void> {
    try {
      if (!URL.canParse(url)) {
        throw new TypeError(`src is ${JSON.stringify(url)}; the address of a .cae file is allowed`);
      }
      const response = await fetch(url, { signal });
      if (!response.ok) {
        throw new Error(`the server answered ${response.status}`);
      }
      const content = await response.blob();
      const data = await content.arrayBuffer();
      const { width, height } = readHeader(data);
      const shown = appearance(await readMetadata(data));
      if (!signal.aborted) {
        this.#file = { content, width, height, shown };
        this.#lay();
        this.#pixels.setFile(this.#file);
      }
    } catch (error) {
      if (!signal.aborted) {
        this.#fail(error);
      }
    }
  }

  #shown(): void {
    if (!this.#loaded) {
      this.#loaded = true;
      this.dispatchEvent(new Event("load"));
    }
  }

  #fail(error: unknown): void {
    this.#error = error instanceof Error ? error : new Error(String(error));
    this.#pixels.setFile(undefined);
    this.#describe();
    this.#lay();
    this.dispatchEvent(new Event("error"));
  }

  /** What a screen reader says: the text of `alt`, or nothing where that is empty. */
  #describe(): void {
    const decorative = this.getAttribute("alt") === "";
    this.#frame.setAttribute("role", decorative ? "presentation" : "img");
    if (this.alt) {
      this.#frame.setAttribute("aria-label", this.alt);
    } else {
      this.#frame.removeAttribute("aria-label");
    }
    this.#text.textContent = this.#error ? this.alt : "";
  }

  /** Sizes as those of `<img>`: CSS of the page counts before attributes, and these before the picture's own. */
  #lay(): void {
    const [width, height] = [this.#attribute("width"), this.#attribute("height")];
    const [across, down] = this.#file ? this.#natural() : [width ?? 0, height ?? 0];
    const rules = [
      width === undefined ? "" : `width: ${width}px`,
      height === undefined ? "" : `height: ${height}px`,
      across && down
        ? `aspect-ratio: ${across} / ${down}; contain-intrinsic-size: ${across}px ${down}px`
        : "",
      this.#error ? "contain: layout" : "",
    ];
    this.#layout.replaceSync(`:host { ${rules.filter(Boolean).join("; ")} }`);
  }

  #attribute(name: string): number | undefined {
    const given = this.getAttribute(name)?.trim() ?? "";
    return /^\d+$/.test(given) ? Number(given) : undefined;
  }

  #natural(): [number, number] {
    const file = this.#file;
    return file ? uprightSize(file.width, file.height, file.shown.orientation) : [0, 0];
  }
}

/** What the pixels of an element tell it. */
interface Listener {
  /** The whole picture is shown. */
  shown(): void;
  failed(error: unknown): void;
  /** The element came near the viewport. */
  start(): void;
}

/** The pixels of an element: decoded while it is near the viewport, released when it is not. */
class Pixels implements Job {
  visible = false;
  near = false;
  readonly #element: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #listener: Listener;
  #file: Fetched | undefined;
  #stage: Stage = "nothing";
  #painter: Painter | undefined;
  /** Pixels of the canvas for a pixel of the picture. */
  #factor = 0;

  constructor(element: HTMLElement, canvas: HTMLCanvasElement, listener: Listener) {
    this.#element = element;
    this.#canvas = canvas;
    this.#listener = listener;
    this.#release();
  }

  get previewed(): boolean {
    return this.#stage !== "nothing";
  }

  get done(): boolean {
    return this.#file === undefined || this.#stage === "picture";
  }

  setVisible(inside: boolean): void {
    this.visible = inside;
    queue.update();
  }

  setNear(inside: boolean): void {
    this.near = inside;
    if (inside) {
      this.#listener.start();
      this.#enqueue();
    } else {
      this.#release();
    }
  }

  setFile(file: Fetched | undefined): void {
    this.#release();
    this.#file = file;
    this.#enqueue();
  }

  /** Decodes again if the element has grown beyond the pixels that were kept. */
  resized(): void {
    if (this.#file && this.#stage === "picture" && this.#factor < Math.min(1, this.#shownFactor())) {
      this.#stage = "preview";
      this.#enqueue();
    }
  }

  async run(signal: AbortSignal, onlyPreview: boolean): Promise<void> {
    const file = this.#file;
    if (!file) {
      return;
    }
    try {
      await this.#decode(file, signal, onlyPreview);
    } catch (error) {
      if (!signal.aborted) {
        this.#listener.failed(error);
      }
    }
  }

  async #decode(file: Fetched, signal: AbortSignal, onlyPreview: boolean): Promise<void> {
    const factor = Math.min(1, SURPLUS * this.#shownFactor());
    const larger = this.#painter !== undefined && factor > this.#factor;
    const draw = (part: ImageData, left: number, top: number, scale: number): void => {
      if (signal.aborted) {
        return;
      }
      if (!this.#painter || (larger && factor !== this.#factor)) {
        this.#painter = new Painter(this.#canvas, file.width, file.height, file.shown, factor);
        this.#factor = factor;
      }
      this.#painter.draw(part, left, top, scale);
    };
    const common = { signal, maxPixels: MAX_PIXELS };
    if (onlyPreview) {
      draw(await decode(file.content, { ...common, scale: 8 }), 0, 0, 8);
      this.#advance(signal, "preview");
      return;
    }
    const picture = await decode(file.content, {
      ...common,
      ...(!this.previewed && { onPreview: draw }),
      // A canvas that gets a larger size is cleared: then the old pixels stay until all new ones are there.
      ...(!larger && { onPart: (part, left, top) => draw(part, left, top, 1) }),
    });
    draw(picture, 0, 0, 1);
    this.#advance(signal, "picture");
  }

  #advance(signal: AbortSignal, stage: Stage): void {
    if (!signal.aborted) {
      this.#stage = stage;
      if (stage === "picture") {
        this.#listener.shown();
      }
    }
  }

  #enqueue(): void {
    if (this.near && this.#file) {
      queue.add(this);
    }
  }

  #release(): void {
    queue.remove(this);
    this.#stage = "nothing";
    this.#painter = undefined;
    this.#canvas.width = 0;
    this.#canvas.height = 0;
  }

  /** Device pixels for a pixel of the picture, as the element is shown. */
  #shownFactor(): number {
    const file = this.#file;
    const fit = getComputedStyle(this.#element).objectFit;
    if (!file || fit === "none" || fit === "scale-down") {
      return 1; // the canvas's own size counts
    }
    const [across, down] = uprightSize(file.width, file.height, file.shown.orientation);
    const { clientWidth, clientHeight } = this.#element;
    return Math.max(clientWidth / across, clientHeight / down) * devicePixelRatio;
  }
}

/** The pixels of each element, out of reach of pages. */
const pixelsOf = new WeakMap<Element, Pixels>();

function observer(rootMargin: string, tell: (pixels: Pixels, inside: boolean) => void): IntersectionObserver {
  return new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const pixels = pixelsOf.get(entry.target);
        if (pixels && entry.target.isConnected) {
          tell(pixels, entry.isIntersecting);
        }
      }
    },
    { rootMargin },
  );
}

customElements.define("cae-image", CaeImage);

declare global {
  interface HTMLElementTagNameMap {
    "cae-image": CaeImage;
  }
}
