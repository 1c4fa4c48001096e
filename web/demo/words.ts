/** Numbers and errors in words. */

/** "34.2 kB": in units of 1000 bytes. */
export function size(bytes: number): string {
  const [value, unit] =
    bytes < 1000 ? [bytes, "bytes"] : bytes < 1e6 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
  return `${unit === "bytes" ? value : digits(value)} ${unit}`;
}

/** "0.31 s" */
export function seconds(value: number): string {
  return `${value < 0.01 ? "<0.01" : digits(value, 2)} s`;
}

/** "1.3 MP/s" */
export function speed(pixels: number, time: number): string {
  return `${digits(pixels / 1e6 / Math.max(time, 1e-3), 2)} MP/s`;
}

/** "0.302" */
export function bitsPerPixel(bytes: number, pixels: number): string {
  const value = (8 * bytes) / pixels;
  return value.toFixed(value < 1 ? 3 : 2);
}

/** "768 × 512, 0.39 megapixels" */
export function dimensions(width: number, height: number): string {
  return `${width} × ${height}, ${digits((width * height) / 1e6, 2)} megapixels`;
}

/** With so many digits, but never fewer than those before the point; below 1, after it. */
export function digits(value: number, count = 3): string {
  const before = value >= 1 ? Math.floor(Math.log10(value)) + 1 : 0;
  return value.toFixed(Math.max(0, count - before));
}

const PLAIN: Record<string, string> = {
  SignatureError: "This is not a .cae file.",
  VersionError: "This file was written by a newer caesura.",
  TruncatedError: "This file is incomplete.",
  ChecksumError: "This file is damaged.",
  LimitError: "This file asks for more than this page can give.",
  FormatError: "This file cannot be read.",
  ConfigError: "This size cannot be reached.",
  ModelError: "The model that this file needs is not here.",
};

/** What went wrong, in plain words; the library's own words after them. */
export function plain(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const known = PLAIN[error.name];
  return known ? `${known} (${error.message})` : error.message;
}
