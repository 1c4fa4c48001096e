import { readFileSync } from "node:fs";
import * as cae2026 from "./src/coding/cae2026.ts";
import * as detail from "./src/coding/detail.ts";
import { magnitudes } from "./src/entropy/control.ts";
import * as container from "./src/format/container.ts";
import { Conditioning } from "./src/models/conditioning.ts";
import { modelOf } from "./src/models/model.ts";
import { read } from "./src/models/package.ts";
import { Grid, length } from "./src/tiles/grid.ts";

let t = performance.now();
const arr = await read(new Blob([readFileSync("/work/wt/models/photo-3f5858c5.decode.bin")]).stream(), "x");
console.log("read", performance.now() - t);
t = performance.now();
const model = modelOf(arr);
console.log("model", performance.now() - t);
for (const f of ["a20", "a50", "a72", "a90", "big50"]) {
  const { header, segments } = container.read(readFileSync(`/work/wt/${f}.cae`), 2 ** 28);
  const at = new Conditioning(model, header.ladderPosition);
  for (let k = 0; k < 3; k++) {
    t = performance.now();
    let nz = 0,
      n = 0,
      hz = 0;
    for (const s of new Grid(header, model.manifest).lines.flat()) {
      const d = segments[s.number];
      const shape = [length(s.rows), length(s.columns)] as const;
      const sy = cae2026.decodeSymbols(d.latents!, at, shape);
      if (k == 2) {
        for (const v of sy.latents) {
          if (v) nz++;
          n++;
        }
        for (const v of sy.hyperlatents) if (v) hz++;
      }
      if (d.detail) {
        detail.decodeSymbols(d.detail, [2 * shape[0], 2 * shape[1]], magnitudes(sy.latents), at);
      }
    }
    console.log(f, (performance.now() - t).toFixed(1), nz, n, hz);
  }
}
