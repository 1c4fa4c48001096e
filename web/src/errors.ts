/**
 * The errors that caesura raises, by the names that they have in Python.
 *
 * CaesuraError
 * ├── FormatError            the bytes are not a readable .cae file
 * │   ├── SignatureError     they do not start with its signature
 * │   ├── VersionError       they were written by a newer caesura
 * │   ├── TruncatedError     they end before the file is complete
 * │   ├── ChecksumError      a chunk was damaged
 * │   └── LimitError         a size is beyond what the format or the caller allows
 * ├── ModelError             a model is missing, damaged or unknown
 * ├── ImageError             a picture cannot be coded
 * └── ConfigError            a setting has a value that is not allowed
 *
 * Messages name the field, what was got and what is allowed.
 */

export class CaesuraError extends Error {
  override name = "CaesuraError";
}

export class FormatError extends CaesuraError {
  override name = "FormatError";
}

export class SignatureError extends FormatError {
  override name = "SignatureError";
}

export class VersionError extends FormatError {
  override name = "VersionError";
}

export class TruncatedError extends FormatError {
  override name = "TruncatedError";
}

export class ChecksumError extends FormatError {
  override name = "ChecksumError";
}

export class LimitError extends FormatError {
  override name = "LimitError";
}

export class ModelError extends CaesuraError {
  override name = "ModelError";
}

export class ImageError extends CaesuraError {
  override name = "ImageError";
}

export class ConfigError extends CaesuraError {
  override name = "ConfigError";
}

// By name: those of the classes are lost where code is minified.
const KINDS = {
  CaesuraError,
  FormatError,
  SignatureError,
  VersionError,
  TruncatedError,
  ChecksumError,
  LimitError,
  ModelError,
  ImageError,
  ConfigError,
};

/** An error as it crosses from a worker, where its class would be lost. */
export interface PlainError {
  name: string;
  message: string;
}

/** What `toError` makes an error of again. */
export function toPlain(error: unknown): PlainError {
  if (error instanceof Error) {
    return { name: error.name, message: error.message };
  }
  return { name: "Error", message: String(error) };
}

/** The mirror of `toPlain`: an error of the same class, if it is one of these. */
export function toError(plain: PlainError): Error {
  if (plain.name === "AbortError") {
    return new DOMException(plain.message, plain.name);
  }
  if (Object.hasOwn(KINDS, plain.name)) {
    return new KINDS[plain.name as keyof typeof KINDS](plain.message);
  }
  return Object.assign(new Error(plain.message), { name: plain.name });
}
