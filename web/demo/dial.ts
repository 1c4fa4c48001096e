/** The dial for the size of the file: in kB, in bits per pixel, or a quality. */

import { bitsPerPixel, digits } from "./words.ts";

/** What the dial asks the encoder for. */
export type Target = { bytes: number } | { quality: number };

type Unit = "kB" | "bpp" | "quality";

/** Where the dial begins, and its ends, in bits per pixel. */
const FIRST = 0.3;
const LEAST = 0.02;
const MOST = 4.5;
const STEPS = 1000;

const NAMES: Record<Unit, string> = { kB: "kB", bpp: "bits/px", quality: "of 100" };

/** A range and a number that say the same. */
export class Dial {
  readonly #range: HTMLInputElement;
  readonly #number: HTMLInputElement;
  readonly #name: HTMLElement;
  readonly #form: HTMLFormElement;
  #unit: Unit = "kB";
  #pixels = 1;
  #bpp = FIRST;
  #quality = 50;

  /**
   * @param form with the unit's radio buttons, range, number and the unit's name
   * @param changed is told the new target
   */
  constructor(form: HTMLFormElement, changed: (target: Target) => void) {
    this.#form = form;
    this.#range = form.querySelector("#range") as HTMLInputElement;
    this.#number = form.querySelector("#number") as HTMLInputElement;
    this.#name = form.querySelector("#dial-unit") as HTMLElement;
    form.addEventListener("submit", (event) => event.preventDefault());
    this.#range.addEventListener("input", () => this.#fromRange());
    this.#range.addEventListener("change", () => changed(this.target));
    this.#number.addEventListener("change", () => {
      this.#fromNumber();
      changed(this.target);
    });
    for (const radio of form.querySelectorAll<HTMLInputElement>("[name=unit]")) {
      radio.addEventListener("change", () => this.#setUnit(radio.value as Unit));
    }
  }

  get target(): Target {
    return this.#unit === "quality"
      ? { quality: this.#quality }
      : { bytes: Math.max(1, Math.floor((this.#bpp * this.#pixels) / 8)) };
  }

  /** Goes to the first size, of a new photo. */
  reset(pixels: number): void {
    this.#pixels = pixels;
    this.#bpp = FIRST;
    this.#write();
  }

  /** Goes to a size in bytes. */
  setBytes(bytes: number): void {
    this.#bpp = (8 * bytes) / this.#pixels;
    const radio = this.#form.querySelector<HTMLInputElement>("[name=unit][value=kB]") as HTMLInputElement;
    radio.checked = true;
    this.#setUnit("kB");
  }

  /** Keeps the size of a file that was made at a quality, for the other units. */
  made(bytes: number): void {
    if (this.#unit === "quality") {
      this.#bpp = (8 * bytes) / this.#pixels;
    }
  }

  #setUnit(unit: Unit): void {
    this.#unit = unit;
    this.#name.textContent = NAMES[unit];
    this.#write();
  }

  #fromRange(): void {
    const share = Number(this.#range.value) / STEPS;
    if (this.#unit === "quality") {
      this.#quality = Math.round(1 + 99 * share);
    } else {
      this.#bpp = LEAST * (MOST / LEAST) ** share;
    }
    this.#write(false);
  }

  #fromNumber(): void {
    const value = Number(this.#number.value);
    if (value > 0 && Number.isFinite(value)) {
      if (this.#unit === "quality") {
        this.#quality = Math.min(100, Math.max(1, value));
      } else {
        this.#bpp = this.#unit === "kB" ? (value * 8000) / this.#pixels : value;
      }
    }
    this.#write();
  }

  /** Shows what is set; the range, too, unless it is being moved. */
  #write(range = true): void {
    const bytes = (this.#bpp * this.#pixels) / 8;
    const share =
      this.#unit === "quality"
        ? (this.#quality - 1) / 99
        : Math.log(this.#bpp / LEAST) / Math.log(MOST / LEAST);
    if (range) {
      this.#range.value = String(Math.round(STEPS * share));
    }
    const value = { kB: digits(bytes / 1000), bpp: digits(this.#bpp), quality: String(this.#quality) }[
      this.#unit
    ];
    this.#number.value = value;
    this.#range.setAttribute(
      "aria-valuetext",
      this.#unit === "quality"
        ? `quality ${value} of 100`
        : `${digits(bytes / 1000)} kB, ${bitsPerPixel(bytes, this.#pixels)} bits per pixel`,
    );
  }
}
