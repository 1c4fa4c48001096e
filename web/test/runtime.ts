/** libwebp for tests under Node, from node_modules. */

import { readFile } from "node:fs/promises";
import { useRuntime } from "../src/picture/webp.ts";

const CODECS = new URL("../node_modules/@jsquash/webp/codec/", import.meta.url);

export function useNodeRuntime(): void {
  useRuntime(CODECS, (file) => {
    const name = file.pathname.split("/").at(-1) as string;
    return readFile(new URL(`${name.slice(5, 8)}/${name}`, CODECS));
  });
}
