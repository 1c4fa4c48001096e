/** The browser's own encoders, at the bytes of the .cae file. */

/** What `canvas.convertToBlob` may encode. */
export const RIVALS = [
  { name: "JPEG", type: "image/jpeg" },
  { name: "WebP", type: "image/webp" },
  { name: "AVIF", type: "image/avif" },
] as const;

export type RivalName = (typeof RIVALS)[number]["name"];

/** A picture by a rival. */
export interface Rival {
  blob: Blob;
  /** 0 to 100, as the browser counts. */
  quality: number;
  /** Whether it takes no more bytes than was asked; if not, it is the smallest that the encoder makes. */
  fits: boolean;
  /** Of one encoding at that quality, and of decoding. */
  encodeSeconds: number;
  decodeSeconds: number;
  picture: ImageBitmap;
}

/** The rivals that this browser encodes: it may answer with another type than was asked. */
export async function available(): Promise<Set<RivalName>> {
  const canvas = new OffscreenCanvas(1, 1);
  canvas.getContext("2d");
  const found = new Set<RivalName>();
  for (const { name, type } of RIVALS) {
    if ((await canvas.convertToBlob({ type })).type === type) {
      found.add(name);
    }
  }
  return found;
}

/** A canvas with the picture, for `encode`; on white where it is transparent and the format has no transparency. */
export function canvasOf(image: ImageData): OffscreenCanvas {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d", { willReadFrequently: true })?.putImageData(image, 0, 0);
  return canvas;
}

/**
 * The picture at the highest quality that takes at most `bytes`; else at the lowest.
 *
 * @param canvas with the picture
 * @param name of the format
 * @param bytes that it may take
 * @param signal ends the search
 */
export async function encode(
  canvas: OffscreenCanvas,
  name: RivalName,
  bytes: number,
  signal: AbortSignal,
): Promise<Rival> {
  const type = RIVALS.find((one) => one.name === name)?.type as string;
  const attempt = async (quality: number) => {
    const start = performance.now();
    const blob = await canvas.convertToBlob({ type, quality: quality / 100 });
    signal.throwIfAborted();
    return { blob, quality, encodeSeconds: (performance.now() - start) / 1000 };
  };
  let best = await attempt(0);
  const fits = best.blob.size <= bytes;
  let [low, high] = [0, fits ? 100 : 0];
  while (low < high) {
    const made = await attempt(Math.ceil((low + high) / 2));
    if (made.blob.size <= bytes) {
      best = made;
      low = made.quality;
    } else {
      high = made.quality - 1;
    }
  }
  const start = performance.now();
  const picture = await createImageBitmap(best.blob);
  return { ...best, fits, decodeSeconds: (performance.now() - start) / 1000, picture };
}
