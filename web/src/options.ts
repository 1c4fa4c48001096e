/** What callers can ask for; shared by the page and its worker. */

/** The fields of a file's header. */
export interface Header {
  /** 32-bit id of the model. */
  modelId: number;
  /** 1 (grey) or 3 (RGB), one more with transparency. */
  channels: number;
  /** On the model's own scale of qualities, in hundredths, 100 to 10000. */
  ladderPosition: number;
  /** Side of a segment, in cells of 64 pixels, 1 to 32. */
  cells: number;
  /** Of the picture, in pixels. */
  width: number;
  height: number;
}

/** ICC profile, EXIF (a TIFF structure) and XMP, byte for byte; a kind that is not there is missing. */
export interface Metadata {
  icc?: Uint8Array;
  exif?: Uint8Array;
  xmp?: Uint8Array;
}

export interface DecodeOptions {
  /** 1, the default, or 8: a preview at an eighth of the sides, each rounded up. */
  scale?: 1 | 8;
  /** Files that claim more pixels are refused; 2^28 unless given. */
  maxPixels?: number;
  /** Ends decoding; the promise is then rejected with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Called with parts of previews as they come, before any part of the picture: where they belong, in their own
   * pixels, and how many of the picture's each of these stands for, each way. Large pictures are there at a scale of
   * 64 at once, and all at 8. Transparent pictures have no previews.
   */
  onPreview?: (part: ImageData, left: number, top: number, scale: number) => void;
  /** Called with parts of the picture as they come, and where they belong in it. */
  onPart?: (part: ImageData, left: number, top: number) => void;
}

export interface EncodeOptions {
  /** 1 to 100, 50 unless given. */
  quality?: number;
  /** Largest size of the file, in place of a quality: the best quality that fits. */
  bytes?: number;
  /** Name of a model; the first in the folder of models unless given. */
  model?: string;
  /** Kept in the file. */
  metadata?: Metadata;
  /** Keep the colours of fully transparent pixels. */
  exact?: boolean;
  signal?: AbortSignal;
  /** Called with the share that is done, which rises from 0 to 1, between segments. */
  onProgress?: (share: number) => void;
}

export interface Configuration {
  /** Folder that `caesura export --web` wrote, by its address from the page; `models/` beside the library unless given. */
  models?: string | URL;
  /** Folder of ONNX Runtime's and libwebp's .wasm files, likewise; that of the library unless given. */
  runtime?: string | URL;
  /** Threads; as many as there are processors, at most 8, unless given; 1 where the page is not cross-origin isolated. */
  threads?: number;
  /** Run the two transforms on WebGPU where there is one; true unless given. */
  webgpu?: boolean;
}

/** What the library runs on, once it is loaded. */
export interface Capabilities {
  /** "webgpu" or "wasm". */
  transforms: "webgpu" | "wasm";
  threads: number;
}
