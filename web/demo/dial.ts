/** The dial for the size of the file: in kB, in bits per pixel, or a quality. */

import { bitsPerPixel, digits } from "./words.ts";

/** What the dial asks the encoder for. */
export type Target = { bytes: number } | { quality: number };

type Unit = "kB" | "bpp" | "quality";

/** Where the dial begins: encoding at a quality takes one pass, to a size several. */
const FIRST_QUALITY = 50;
/** The ends of the dial, in bits per pixel. */
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
  /** Missing until a size was chosen, or the first file is there. */
  #bpp: number | undefined;
  #quality = FIRST_QUALITY;

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
    return this.#unit === "quality" || this.#bpp === undefined
      ? { quality: this.#quality }
      : { bytes: Math.max(1, Math.floor((this.#bpp * this.#pixels) / 8)) };
  }

  /** Goes back to the beginning, for a new photo. */
  reset(pixels: number): void {
    this.#pixels = pixels;
    this.#bpp = undefined;
    this.#quality = FIRST_QUALITY;
    this.#write();
  }

  /** Goes to a size in bytes. */
  setBytes(bytes: number): void {
    this.#bpp = (8 * bytes) / this.#pixels;
    const radio = this.#form.querySelector<HTMLInputElement>("[name=unit][value=kB]") as HTMLInputElement;
    radio.checked = true;
    this.#setUnit("kB");
  }

  /** Takes over the size of a file that was made at a quality. */
  made(bytes: number): void {
    if (this.#unit === "quality" || this.#bpp === undefined) {
      this.#bpp = (8 * bytes) / this.#pixels;
      this.#write();
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
    const { share, value, text } = this.#unit === "quality" ? this.#asQuality() : this.#asSize();
    if (range) {
      this.#range.value = String(Math.round(STEPS * share));
    }
    this.#number.value = value;
    this.#range.setAttribute("aria-valuetext", text);
  }

  #asQuality(): Face {
    const value = String(this.#quality);
    return { share: (this.#quality - 1) / 99, value, text: `quality ${value} of 100` };
  }

  #asSize(): Face {
    if (this.#bpp === undefined) {
      return { share: 0.5, value: "", text: "not known yet" };
    }
    const bytes = (this.#bpp * this.#pixels) / 8;
    return {
      share: Math.log(this.#bpp / LEAST) / Math.log(MOST / LEAST),
      value: digits(this.#unit === "kB" ? bytes / 1000 : this.#bpp),
      text: `${digits(bytes / 1000)} kB, ${bitsPerPixel(bytes, this.#pixels)} bits per pixel`,
    };
  }
}

/** How a value looks on the dial. */
interface Face {
  /** Of the range, 0 to 1. */
  share: number;
  value: string;
  text: string;
}
