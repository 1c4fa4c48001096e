/** Photos that the browser can read, as pixels. */

import { dimensions } from "./words.ts";

/** Larger photos are refused: encoding one would take more memory than a tab gets. */
export const MAX_PIXELS = 50e6;

const SIGNATURE = [0x89, 0x43, 0x41, 0x45];

/** A photo before it is encoded. */
export interface Photo {
  name: string;
  /** Size of its file, in bytes. */
  bytes: number;
  /** Upright, sRGB. */
  image: ImageData;
}

/** Whether these are the first bytes of a .cae file. */
export function isCae(data: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => data[index] === byte);
}

/**
 * The pixels of a photo, upright.
 *
 * @throws Error that says what to do instead, if the browser cannot read it or it is too large
 */
export async function readPhoto(file: File): Promise<Photo> {
  const url = URL.createObjectURL(file);
  try {
    // An <img> knows the size before it decodes: a small file may claim a huge picture.
    const picture = new Image();
    picture.src = url;
    await new Promise((resolve, reject) => {
      picture.onload = resolve;
      picture.onerror = () => reject(new Error(`This browser cannot read ${file.name} as a picture.`));
    });
    const { naturalWidth: width, naturalHeight: height } = picture;
    if (width === 0 || height === 0) {
      throw new Error(`${file.name} has no size in pixels.`);
    }
    if (width * height > MAX_PIXELS) {
      throw new Error(
        `${file.name} has ${dimensions(width, height)}. This page takes up to 50 megapixels; scale it down first.`,
      );
    }
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", {
      willReadFrequently: true,
    }) as OffscreenCanvasRenderingContext2D;
    context.drawImage(picture, 0, 0);
    const image = context.getImageData(0, 0, width, height);
    canvas.width = 0; // frees its memory now
    return { name: file.name, bytes: file.size, image };
  } finally {
    URL.revokeObjectURL(url);
  }
}
