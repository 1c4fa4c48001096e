/** How a decoded picture is drawn: upright, and in its own colours. */

import type { Metadata } from "./options.ts";

/** What a picture's metadata say about how it is shown. */
export interface Appearance {
  /** 1 to 8, as in EXIF. */
  orientation: number;
  colorSpace: PredefinedColorSpace;
}

const ORIENTATION = 274;
const XMP_ORIENTATION = /tiff:Orientation(?:="|>)([1-8])/;

/** The appearance that metadata ask for; that of an upright sRGB picture where they say nothing. */
export function appearance(metadata: Metadata): Appearance {
  return { orientation: orientation(metadata), colorSpace: colorSpace(metadata.icc) };
}

/** The orientation in EXIF, else the one in XMP, else 1; numbers that are not allowed count as 1. */
export function orientation(metadata: Metadata): number {
  return (
    exifOrientation(metadata.exif ?? new Uint8Array()) ??
    Number(XMP_ORIENTATION.exec(latin1(metadata.xmp ?? new Uint8Array()))?.[1] ?? 1)
  );
}

/** The orientation of a TIFF structure, or undefined; the rest of it may be damaged. */
function exifOrientation(exif: Uint8Array): number | undefined {
  const order = latin1(exif.subarray(0, 2));
  if (order !== "II" && order !== "MM") {
    return undefined;
  }
  const number = (start: number, size: number): number => {
    const bytes = [...exif.subarray(start, start + size)];
    return (order === "MM" ? bytes : bytes.reverse()).reduce((sum, byte) => sum * 256 + byte, 0);
  };
  const first = number(4, 4) + 2;
  const end = Math.min(first + 12 * number(first - 2, 2), exif.length);
  for (let entry = first; entry < end; entry += 12) {
    if (number(entry, 2) === ORIENTATION) {
      const size = { 1: 1, 4: 4 }[number(entry + 2, 2)] ?? 2;
      const found = number(entry + 8, size);
      return found >= 1 && found <= 8 ? found : 1;
    }
  }
  return undefined;
}

/** "display-p3" if an ICC profile is described as that, otherwise "srgb". */
export function colorSpace(icc?: Uint8Array): PredefinedColorSpace {
  if (!icc || icc.length < 132) {
    return "srgb";
  }
  const view = new DataView(icc.buffer, icc.byteOffset, icc.byteLength);
  const tags = Math.min(view.getUint32(128), Math.floor((icc.length - 132) / 12));
  for (let tag = 0; tag < tags; tag++) {
    const entry = 132 + 12 * tag;
    if (latin1(icc.subarray(entry, entry + 4)) === "desc") {
      const start = view.getUint32(entry + 4);
      // ASCII or, since version 4, big-endian UTF-16, whose zero bytes are left out.
      const text = latin1(
        icc.subarray(start, start + view.getUint32(entry + 8)).filter((byte) => byte !== 0),
      );
      return text.includes("Display P3") ? "display-p3" : "srgb";
    }
  }
  return "srgb";
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/** Draws a picture on a canvas, part by part, upright and in its colours. */
export class Painter {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #colorSpace: PredefinedColorSpace;
  readonly #direct: boolean;

  /**
   * @param canvas what is drawn on; it gets its size here, and keeps the colour space that it got first
   * @param width of the picture as it is stored
   * @param height of the same
   * @param shown its orientation and colours
   * @param factor pixels of the canvas for a pixel of the picture, above 0 and at most 1
   */
  constructor(canvas: HTMLCanvasElement, width: number, height: number, shown: Appearance, factor = 1) {
    const context = canvas.getContext("2d", { colorSpace: shown.colorSpace });
    if (!context) {
      throw new Error("the browser gives no canvas to draw on");
    }
    const [across, down] = uprightSize(width, height, shown.orientation);
    canvas.width = Math.max(1, Math.round(across * factor));
    canvas.height = Math.max(1, Math.round(down * factor));
    context.imageSmoothingQuality = "high";
    context.scale(canvas.width / across, canvas.height / down);
    context.transform(...turned(shown.orientation, width, height));
    this.canvas = canvas;
    this.#context = context;
    this.#colorSpace = shown.colorSpace;
    this.#direct = shown.orientation === 1 && canvas.width === width && canvas.height === height;
  }

  /**
   * Draws a part.
   *
   * @param part the pixels
   * @param left where they belong among those of the picture at this scale
   * @param top likewise
   * @param scale pixels of the picture for a pixel of `part`: 8 for a preview
   */
  draw(part: ImageData, left: number, top: number, scale = 1): void {
    const { data, width, height } = part;
    const pixels = new ImageData(data, width, height, { colorSpace: this.#colorSpace });
    if (this.#direct && scale === 1) {
      this.#context.putImageData(pixels, left, top);
      return;
    }
    const strip = new OffscreenCanvas(width, height);
    strip.getContext("2d", { colorSpace: this.#colorSpace })?.putImageData(pixels, 0, 0);
    const place = [left * scale, top * scale, width * scale, height * scale] as const;
    this.#context.clearRect(...place);
    this.#context.drawImage(strip, ...place);
    strip.width = 0; // frees its memory now, not when garbage is collected
  }
}

/** Width and height of a picture as it is shown. */
export function uprightSize(width: number, height: number, orientation: number): [number, number] {
  return orientation > 4 ? [height, width] : [width, height];
}

type Matrix = [number, number, number, number, number, number];

/** What moves pixels of a stored picture to where they are shown. */
function turned(orientation: number, width: number, height: number): Matrix {
  const matrices: Matrix[] = [
    [1, 0, 0, 1, 0, 0],
    [-1, 0, 0, 1, width, 0],
    [-1, 0, 0, -1, width, height],
    [1, 0, 0, -1, 0, height],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, height, 0],
    [0, -1, -1, 0, height, width],
    [0, -1, 1, 0, 0, width],
  ];
  return matrices[orientation - 1] as Matrix;
}
