/** Two pictures of one size on a stage, zoomed and moved together. */

import { Divider } from "./compare.ts";

/** Device pixels for a pixel of the picture, at most. */
const MAX_ZOOM = 16;
/** Steps of the keys for twice the size. */
const STEPS = 2;
const PAN = 60;

type Zoom = number | "fit";

/** The stage: pictures by name, of which two are shown. */
export class Viewer {
  readonly divider: Divider;
  readonly #stage: HTMLElement;
  readonly #layers: Record<"left" | "right", HTMLElement>;
  readonly #changed: (zoom: Zoom) => void;
  readonly #pointers = new Map<number, { x: number; y: number }>();
  #width = 1;
  #height = 1;
  #zoom: Zoom = "fit";
  /** Of the picture's top left, in CSS pixels of the stage. */
  #x = 0;
  #y = 0;

  /**
   * @param stage what the pictures are on
   * @param layers what holds the left and the right one
   * @param handle of the divider
   * @param changed is told the new zoom
   */
  constructor(
    stage: HTMLElement,
    layers: Record<"left" | "right", HTMLElement>,
    handle: HTMLElement,
    changed: (zoom: Zoom) => void,
  ) {
    this.#stage = stage;
    this.#layers = layers;
    this.#changed = changed;
    this.divider = new Divider(stage, handle);
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("keydown", (event) => this.#key(event));
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"] as const) {
      stage.addEventListener(kind, (event) => this.#pointers.delete(event.pointerId));
    }
    stage.addEventListener("dblclick", (event) => {
      this.setZoom(this.#zoom === "fit" ? 1 : "fit", ...this.#at(event.clientX, event.clientY));
    });
    new ResizeObserver(() => this.#apply()).observe(stage);
  }

  /** Size of the pictures to come; shows all of them. */
  setSize(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.setZoom("fit");
  }

  /** Puts a picture on a side. */
  show(side: "left" | "right", picture: HTMLCanvasElement): void {
    this.#layers[side].replaceChildren(picture);
  }

  /**
   * Zooms about a point.
   *
   * @param zoom device pixels for a pixel of the picture, or "fit": as large as the stage allows, at most 1
   * @param x of the point that stays, in CSS pixels of the stage; its middle unless given
   * @param y of the same
   */
  setZoom(zoom: Zoom, x = this.#stage.clientWidth / 2, y = this.#stage.clientHeight / 2): void {
    const before = this.#scale();
    this.#zoom = zoom === "fit" || zoom <= this.#fit() ? "fit" : Math.min(zoom, MAX_ZOOM);
    const ratio = this.#scale() / before;
    this.#x = x - (x - this.#x) * ratio;
    this.#y = y - (y - this.#y) * ratio;
    this.#apply();
    this.#changed(this.#zoom);
  }

  /** Zoom at which the whole picture is seen. */
  #fit(): number {
    const { clientWidth, clientHeight } = this.#stage;
    const ratio = Math.min(clientWidth / this.#width, clientHeight / this.#height) * devicePixelRatio;
    return Math.min(1, ratio || 1);
  }

  /** CSS pixels for a pixel of the picture. */
  #scale(): number {
    return (this.#zoom === "fit" ? this.#fit() : this.#zoom) / devicePixelRatio;
  }

  #apply(): void {
    const scale = this.#scale();
    this.#x = held(this.#x, this.#stage.clientWidth, this.#width * scale);
    this.#y = held(this.#y, this.#stage.clientHeight, this.#height * scale);
    const style = this.#stage.style;
    style.setProperty("--x", `${this.#x}px`);
    style.setProperty("--y", `${this.#y}px`);
    style.setProperty("--scale", String(scale));
    this.#stage.classList.toggle("zoomed", this.#zoom !== "fit");
    this.#stage.classList.toggle("pixels", scale * devicePixelRatio > 1);
  }

  #pan(x: number, y: number): void {
    this.#x += x;
    this.#y += y;
    this.#apply();
  }

  #at(clientX: number, clientY: number): [number, number] {
    const { left, top } = this.#stage.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  #current(): number {
    return this.#scale() * devicePixelRatio;
  }

  /** To the next step up or down; steps meet 1, 2, 4 and 8 exactly. */
  #step(direction: 1 | -1): void {
    const now = Math.round(STEPS * Math.log2(this.#current()));
    this.setZoom(2 ** ((now + direction) / STEPS));
  }

  #wheel(event: WheelEvent): void {
    if (this.#zoom === "fit" && event.deltaY > 0 && !event.ctrlKey) {
      return; // nothing to zoom out of: the page scrolls
    }
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 30;
    const factor = 2 ** ((-event.deltaY * unit) / (event.ctrlKey ? 100 : 300));
    this.setZoom(this.#current() * factor, ...this.#at(event.clientX, event.clientY));
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const actions: Record<string, () => void> = {
      "+": () => this.#step(1),
      "=": () => this.#step(1),
      "-": () => this.#step(-1),
      "0": () => this.setZoom("fit"),
      "1": () => this.setZoom(1),
      ArrowLeft: () => this.#pan(PAN, 0),
      ArrowRight: () => this.#pan(-PAN, 0),
      ArrowUp: () => this.#pan(0, PAN),
      ArrowDown: () => this.#pan(0, -PAN),
    };
    const arrows = event.key.startsWith("Arrow");
    const action = actions[event.key];
    if (action && !(arrows && this.#zoom === "fit")) {
      event.preventDefault();
      action();
    }
  }

  #down(event: PointerEvent): void {
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.#stage.setPointerCapture(event.pointerId);
  }

  #move(event: PointerEvent): void {
    const before = this.#pointers.get(event.pointerId);
    if (!before) {
      return;
    }
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    if (other) {
      const ratio = distance(now, other) / Math.max(1, distance(before, other));
      this.#pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      this.setZoom(this.#current() * ratio, ...this.#at((now.x + other.x) / 2, (now.y + other.y) / 2));
    } else if (this.#zoom === "fit") {
      this.divider.moveTo(event.clientX);
    } else {
      this.#pan(now.x - before.x, now.y - before.y);
    }
  }
}

/** Where a picture begins that covers the stage if it can, and lies in its middle if not. */
function held(start: number, stage: number, picture: number): number {
  return picture <= stage ? (stage - picture) / 2 : Math.min(0, Math.max(stage - picture, start));
}

function distance(one: { x: number; y: number }, other: { x: number; y: number }): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
