/** A small .cae file in the fragment of a link, which no server sees. */

/** Larger files make links that programs cut off. */
export const MAX_BYTES = 32_000;

/** A link to this page that holds the file. */
export function linkTo(data: Uint8Array): string {
  return `${location.href.split("#")[0]}#cae=${toBase64Url(data)}`;
}

/** Whether a fragment asks for a picture, and is not the name of a section. */
export function isPicture(fragment: string): boolean {
  return /^#(cae|example)=/.test(fragment);
}

/**
 * What a fragment asks for, of which `isPicture` is true: a file, or an example by its name.
 *
 * @throws Error if the file is incomplete
 */
export function fromFragment(fragment: string): { cae: Uint8Array } | { example: string } {
  const [key, value = ""] = fragment.split("=", 2) as [string, string?];
  return key === "#cae" ? { cae: fromBase64Url(value) } : { example: decodeURIComponent(value) };
}

function toBase64Url(data: Uint8Array): string {
  const text = Array.from(data, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  } catch (error) {
    throw new Error("The picture in this link is incomplete.", { cause: error });
  }
}
