/** What Python makes of some small layers and pictures: fixtures/make.py writes them. */

import { readFileSync } from "node:fs";
import { crc32 } from "../src/format/crc32.ts";
import { decode } from "../src/picture/webp.ts";

/** A lossless WebP in Base64. */
export interface Picture {
  height: number;
  width: number;
  picture: string;
}

/** A file, and what it decodes to, as CRC-32, or the error. */
export interface File {
  name: string;
  data: string;
  height: number;
  width: number;
  error?: string;
  alpha?: number;
  rgb?: number;
  kept?: number;
}

export interface Layer {
  kept: number;
  covers: boolean;
  free: number;
}

interface Fixtures {
  png: File[];
  webp: File[];
  golden: Record<string, { rgb: number; kept: number }[]>;
  lossless: (Picture & { name: string; all: Layer[]; some: Layer[] })[];
  clipped: (Picture & {
    name: string;
    small: string;
    cases: { bytes: number; fine: boolean; payload?: string; applied?: number; reduced?: number }[];
  })[];
  cleared: Picture & { kept: string };
}

const file = new URL("fixtures/layers.json", import.meta.url);
export const fixtures: Fixtures = JSON.parse(readFileSync(file, "utf8"));

export function bytes(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

export async function pixels({ picture, height, width }: Picture): Promise<Uint8Array> {
  return (await decode(bytes(picture), height, width, "picture")).rgb;
}

/** The CRC-32 of each array, or the error. */
export async function outcome(decoding: Promise<Uint8Array[]>): Promise<number[] | string> {
  try {
    return (await decoding).map(crc32);
  } catch (error) {
    return String(error);
  }
}
