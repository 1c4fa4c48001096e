/**
 * Every golden file decodes to the symbols that it has in Python.
 *
 * CAESURA_FIXTURES is a folder with models exported for the web (models/) and, for each golden file, NAME.symbols:
 * its symbols as little-endian int16.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import * as cae2017 from "../src/coding/cae2017.ts";
import * as cae2026 from "../src/coding/cae2026.ts";
import * as detail from "../src/coding/detail.ts";
import { Pusher } from "../src/entropy/coder.ts";
import { Indices, magnitudes } from "../src/entropy/control.ts";
import * as factorized from "../src/entropy/factorized.ts";
import * as grouped from "../src/entropy/grouped.ts";
import { PASSES } from "../src/entropy/passes.ts";
import * as container from "../src/format/container.ts";
import { Conditioning } from "../src/models/conditioning.ts";
import { type Model, modelOf } from "../src/models/model.ts";
import { read } from "../src/models/package.ts";
import { Grid, length } from "../src/tiles/grid.ts";

const GOLDEN = join(import.meta.dirname, "../../tests/golden");
const FIXTURES = process.env.CAESURA_FIXTURES;

const models = new Map<number, Model>();

before(async () => {
  for (const name of FIXTURES ? readdirSync(join(FIXTURES, "models")) : []) {
    if (name.endsWith(".decode.bin")) {
      const content = readFileSync(join(FIXTURES as string, "models", name));
      const model = modelOf(await read(new Blob([content]).stream(), name));
      models.set(model.manifest.id, model);
    }
  }
});

for (const file of readdirSync(GOLDEN).filter((name) => name.endsWith(".cae"))) {
  test(`symbols of ${file}`, { skip: FIXTURES === undefined }, () => {
    const expected = readFileSync(join(FIXTURES as string, file.replace(/cae$/, "symbols")));
    const found = symbolsOf(readFileSync(join(GOLDEN, file)));
    assert.equal(2 * found.length, expected.length);
    assert.ok(expected.equals(new Uint8Array(found.buffer)), "symbols differ");
  });
}

for (const file of readdirSync(GOLDEN).filter((name) => name.endsWith(".cae"))) {
  test(`symbols of ${file} are coded to the same bytes`, { skip: FIXTURES === undefined }, () => {
    const { header, segments } = container.read(readFileSync(join(GOLDEN, file)), container.MAX_PIXELS);
    const model = models.get(header.modelId) as Model;
    const at = new Conditioning(model, header.ladderPosition);
    for (const segment of new Grid(header, model.manifest).lines.flat()) {
      const { latents } = segments[segment.number];
      const shape = [length(segment.rows), length(segment.columns)] as const;
      if (latents !== undefined) {
        assert.deepEqual(codedAgain(latents, at, shape), new Uint8Array(latents));
      }
    }
  });
}

/** A payload's symbols, coded again. */
function codedAgain(payload: Uint8Array, at: Conditioning, shape: readonly [number, number]): Uint8Array {
  const pusher = new Pusher();
  const { control } = at.model;
  if (control === undefined) {
    factorized.push(pusher, cae2017.decodeSymbols(payload, at, shape), shape[0] * shape[1], at.tables);
    return pusher.bytes();
  }
  const { hyperlatents, latents } = cae2026.decodeSymbols(payload, at, shape);
  const hyper = cae2026.hyperShape(shape);
  const indices = new Indices(control, hyperlatents, hyper, at.row, shape);
  const passes = byPass(latents, shape).map((symbols, pass) => {
    const chosen = indices.indices(pass);
    indices.update(pass, grouped.nonzero(symbols), new Int16Array(latents.length));
    return { symbols, chosen };
  });
  for (const { symbols, chosen } of passes.reverse()) {
    grouped.push(pusher, symbols, chosen, control.tables);
  }
  factorized.push(pusher, hyperlatents, hyper[0] * hyper[1], at.tables);
  return pusher.bytes();
}

/** All symbols of a file, in the order in which they are coded. */
function symbolsOf(file: Uint8Array): Int16Array {
  const { header, segments } = container.read(file, container.MAX_PIXELS);
  const model = models.get(header.modelId) as Model;
  const at = new Conditioning(model, header.ladderPosition);
  const parts: Int16Array[] = [];
  for (const segment of new Grid(header, model.manifest).lines.flat()) {
    const data = segments[segment.number];
    const shape = [length(segment.rows), length(segment.columns)] as const;
    if (data.latents === undefined) {
      continue;
    }
    if (model.control === undefined) {
      parts.push(cae2017.decodeSymbols(data.latents, at, shape));
      continue;
    }
    const { hyperlatents, latents } = cae2026.decodeSymbols(data.latents, at, shape);
    parts.push(hyperlatents, ...byPass(latents, shape));
    if (data.detail !== undefined) {
      const blocks = [2 * shape[0], 2 * shape[1]] as const;
      parts.push(...byPass(detail.decodeSymbols(data.detail, blocks, magnitudes(latents), at), blocks));
    }
  }
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

function byPass(planes: Int16Array, shape: readonly [number, number]): Int16Array[] {
  return Array.from({ length: PASSES }, (_, pass) => detail.ofPass(pass, planes, shape));
}
