/** What this browser has and lacks, and what follows from it. */

import { available } from "./rivals.ts";

/** A module whose one function, without parameters, returns a vector: i8x16.popcnt(i8x16.splat(0)). */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98,
  11,
];

/** What is shown of an ability. */
export interface Ability {
  name: string;
  there: boolean;
  text: string;
}

/** All that matters to this page. */
export async function abilities(): Promise<Ability[]> {
  const simd = hasSimd();
  const gpu = await hasWebGpu();
  const encoders = await available();
  const lacking = (["JPEG", "WebP", "AVIF"] as const).filter((name) => !encoders.has(name));
  const cores = navigator.hardwareConcurrency;
  return [
    {
      name: "WebAssembly SIMD",
      there: simd,
      text: simd ? "yes" : "no: caesura cannot run here; a newer browser can run it",
    },
    {
      name: "Threads",
      there: crossOriginIsolated,
      text: crossOriginIsolated
        ? `yes: ${cores === 1 ? "one processor core" : `${cores} processor cores`}`
        : "no: the page is not cross-origin isolated, so that one thread does all the work",
    },
    {
      name: "WebGPU",
      there: gpu,
      text: gpu ? "yes: it runs the networks" : "no: the networks run as WebAssembly",
    },
    {
      name: "Encoders to compare with",
      there: lacking.length === 0,
      text:
        [...encoders].join(", ") +
        (lacking.length ? `; none for ${lacking.join(" and ")}, which is left out` : ""),
    },
    offline(),
  ];
}

export function hasSimd(): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD));
}

async function hasWebGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<unknown> } };
  try {
    return Boolean(await gpu?.requestAdapter());
  } catch {
    return false;
  }
}

function offline(): Ability {
  const name = "Offline";
  if ("serviceWorker" in navigator) {
    return { name, there: true, text: "yes: the page keeps its own files" };
  }
  const why = isSecureContext
    ? "the browser has no service workers"
    : "only pages by https can keep their files";
  return { name, there: false, text: `no: ${why}` };
}

/** Shows abilities in a list of terms. */
export function showAbilities(list: HTMLElement, found: readonly Ability[]): void {
  list.replaceChildren(
    ...found.map(({ name, there, text }) => {
      const [group, term, description] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      group?.classList.toggle("lacking", !there);
      term?.append(name);
      description?.append(text);
      group?.append(term as HTMLElement, description as HTMLElement);
      return group as HTMLElement;
    }),
  );
}
