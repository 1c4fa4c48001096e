/** The divider between two pictures that lie on each other. */

const STEPS: Record<string, number> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
  Home: -100,
  End: 100,
};

/** A slider that goes from 0, all of the right picture, to 100, all of the left one. */
export class Divider {
  readonly #stage: HTMLElement;
  readonly #handle: HTMLElement;
  #percent = 50;

  constructor(stage: HTMLElement, handle: HTMLElement) {
    this.#stage = stage;
    this.#handle = handle;
    handle.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (step !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        event.stopPropagation(); // the stage would move the picture
        this.set(this.#percent + step);
      }
    });
    handle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) {
        this.moveTo(event.clientX);
      }
    });
    this.set(50);
  }

  /** Moves it to a position in the viewport. */
  moveTo(clientX: number): void {
    const { left, width } = this.#stage.getBoundingClientRect();
    this.set((100 * (clientX - left)) / width);
  }

  set(percent: number): void {
    this.#percent = Math.min(100, Math.max(0, percent));
    this.#stage.style.setProperty("--at", `${this.#percent}%`);
    const whole = Math.round(this.#percent);
    this.#handle.setAttribute("aria-valuenow", String(whole));
    this.#handle.setAttribute("aria-valuetext", `${whole}% left, ${100 - whole}% right`);
  }
}
