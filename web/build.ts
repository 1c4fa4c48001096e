/**
 * Builds the package, dist/, and the page, site/: node build.ts
 *
 * Models are expected in dist/models, and the page's examples in site/examples; `make web` makes both before.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { type BuildOptions, build, type Plugin } from "esbuild";

const HERE = import.meta.dirname;
const DIST = join(HERE, "dist");
const SITE = join(HERE, "site");
const LIBRARY = join(SITE, "caesura");
const ORT = join(HERE, "node_modules/onnxruntime-web/dist");
const LIBWEBP = join(HERE, "node_modules/@jsquash/webp/codec");
const RUNTIME = [
  join(ORT, "ort-wasm-simd-threaded.mjs"),
  join(ORT, "ort-wasm-simd-threaded.wasm"),
  join(ORT, "ort-wasm-simd-threaded.asyncify.mjs"),
  join(ORT, "ort-wasm-simd-threaded.asyncify.wasm"),
  join(LIBWEBP, "dec/webp_dec.wasm"),
  join(LIBWEBP, "enc/webp_enc.wasm"),
];

const COMMON: BuildOptions = {
  absWorkingDir: HERE,
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2023",
  legalComments: "linked",
  // ONNX Runtime's script for threads and its .wasm stay files of their own.
  conditions: ["onnxruntime-web-use-extern-wasm"],
};

/** The page takes the library from the package beside it instead of a second copy. */
const libraryBesidePage: Plugin = {
  name: "library beside the page",
  setup({ onResolve }) {
    onResolve({ filter: /\/src\/(index|element)\.ts$/ }, ({ path }) => ({
      path: `./caesura/${basename(path, ".ts")}.js`,
      external: true,
    }));
  },
};

await buildPackage();
await buildPage();

async function buildPackage(): Promise<void> {
  const entryPoints = ["src/index.ts", "src/element.ts", "src/worker.ts"];
  const { metafile } = await build({ ...COMMON, entryPoints, outdir: DIST, splitting: true, metafile: true });
  for (const file of RUNTIME) {
    cpSync(file, join(DIST, basename(file)));
  }
  cpSync(join(HERE, "../LICENSE"), join(DIST, "LICENSE"));
  const tsc = join(HERE, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: HERE, stdio: "inherit" });
  const own = Object.entries(metafile.outputs).filter(
    ([file, { inputs }]) =>
      file.endsWith(".js") && Object.keys(inputs).every((input) => input.startsWith("src/")),
  );
  console.log(
    `library without models and runtime: ${gzipped(own.map(([file]) => join(HERE, file)))} bytes gzipped`,
  );
}

async function buildPage(): Promise<void> {
  const demo = join(HERE, "demo");
  await build({ ...COMMON, entryPoints: ["demo/demo.ts"], outdir: SITE, plugins: [libraryBesidePage] });
  await build({ ...COMMON, entryPoints: ["demo/sw.ts"], outdir: SITE, format: "iife" });
  for (const file of readdirSync(demo).filter((name) => !name.endsWith(".ts"))) {
    cpSync(join(demo, file), join(SITE, file));
  }
  mkdirSync(LIBRARY, { recursive: true });
  cpSync(DIST, LIBRARY, { recursive: true, filter: (path) => path !== join(DIST, "types") });
  writeFileSync(join(SITE, "files.json"), JSON.stringify(filesOf(SITE)));
}

/** The files of a folder and a hash of them, for the page's service worker. */
function filesOf(folder: string): { version: string; files: string[] } {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile() && name !== "files.json")
    .map((name) => relative(folder, join(folder, name)).replaceAll("\\", "/"))
    .sort();
  const hash = createHash("sha256");
  for (const name of files) {
    hash.update(name).update(readFileSync(join(folder, name)));
  }
  return { version: hash.digest("hex").slice(0, 16), files };
}

function gzipped(files: string[]): number {
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
}
