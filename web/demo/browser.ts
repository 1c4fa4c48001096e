/** What this browser has and lacks, and what follows from it. */

import type { Capabilities } from "../src/options.ts";
import { available, RIVALS } from "./rivals.ts";

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

/**
 * All that matters to this page.
 *
 * @param runsOn what the library runs on, as soon as it is loaded
 * @param kept whether all that encoding and decoding need was loaded, and kept by the service worker
 */
export async function abilities(runsOn?: Capabilities, kept = false): Promise<Ability[]> {
  const simd = hasSimd();
  const gpu = runsOn?.transforms === "webgpu";
  const encoders = await available();
  const lacking = RIVALS.map(({ name }) => name).filter((name) => !encoders.has(name));
  const threads = runsOn?.threads ?? navigator.hardwareConcurrency;
  return [
    {
      name: "WebAssembly SIMD",
      there: simd,
      text: simd ? "Yes." : "No: caesura cannot run here. A newer browser can run it.",
    },
    {
      name: "Threads",
      there: crossOriginIsolated,
      text: crossOriginIsolated
        ? `Yes: ${threads === 1 ? "one, since there is one processor core" : threads}.`
        : "No: the page is not cross-origin isolated, so one thread does all the work.",
    },
    {
      name: "WebGPU",
      there: gpu || runsOn === undefined,
      text: runsOn
        ? gpu
          ? "Yes: it runs the networks."
          : "No: the networks run as WebAssembly."
        : "Looking.",
    },
    {
      name: "Other encoders",
      there: lacking.length === 0,
      text: `${[...encoders].join(", ")}.${lacking.length ? ` Not ${lacking.join(" or ")}.` : ""}`,
    },
    offline(kept),
  ];
}

/** Whether caesura can run. */
export function hasSimd(): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD));
}

function offline(kept: boolean): Ability {
  const name = "Works offline";
  if (navigator.serviceWorker?.controller) {
    return { name, there: true, text: kept ? "Yes." : "In a moment: files are being loaded." };
  }
  const why = !isSecureContext
    ? "only pages by https can keep their files"
    : navigator.serviceWorker
      ? "the browser does not keep the page's files"
      : "the browser has no service workers";
  return { name, there: false, text: `No: ${why}.` };
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
