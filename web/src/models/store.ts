/** Models on a server: the folder that `caesura export --web` writes, each file fetched once. */

import { ModelError } from "../errors.ts";
import { type Model, modelOf } from "./model.ts";
import { type Arrays, FORMAT, read } from "./package.ts";

/** An entry of `models.json`. */
interface Entry {
  name: string;
  /** The model's id, 8 hexadecimal digits. */
  id: string;
  /** Files of what decoding and what encoding needs. */
  decode: string;
  encode: string;
}

/** A model, and what its encoder needs besides. */
export interface Stored {
  model: Model;
  encoding: () => Promise<Arrays>;
}

/** The models of a folder. */
export class Store {
  readonly #folder: URL;
  #entries: Promise<readonly Entry[]> | undefined;
  readonly #loaded = new Map<string, Promise<Stored>>();

  constructor(folder: URL) {
    this.#folder = folder;
  }

  /** The model that a file was coded with. */
  async byId(id: number): Promise<Stored> {
    const wanted = id.toString(16).padStart(8, "0");
    const entries = await this.#list();
    const entry = entries.find((one) => one.id === wanted);
    if (entry === undefined) {
      const known = entries.map((one) => `${one.id} (${one.name})`).join(", ") || "none";
      throw new ModelError(`the file was coded with model ${wanted}, which is not here; known: ${known}`);
    }
    return this.#load(entry);
  }

  /** A model by name; the first unless given. */
  async byName(name?: string): Promise<Stored> {
    const entries = await this.#list();
    const entry = name === undefined ? entries[0] : entries.find((one) => one.name === name);
    if (entry === undefined) {
      const known = entries.map((one) => one.name).join(", ") || "none";
      throw new ModelError(`model ${name} is not known; known: ${known}`);
    }
    return this.#load(entry);
  }

  #list(): Promise<readonly Entry[]> {
    this.#entries ??= this.#fetchList();
    this.#entries.catch(() => {
      this.#entries = undefined;
    });
    return this.#entries;
  }

  async #fetchList(): Promise<readonly Entry[]> {
    const field = "models.json";
    try {
      const list = await (await this.#fetch(field)).json();
      if (list.format === FORMAT && Array.isArray(list.models) && list.models.every(isEntry)) {
        return list.models;
      }
      throw new ModelError(`model: ${field} is no list of models of format ${FORMAT}`);
    } catch (error) {
      throw error instanceof ModelError ? error : new ModelError(`model: ${field} cannot be read: ${error}`);
    }
  }

  #load(entry: Entry): Promise<Stored> {
    let loaded = this.#loaded.get(entry.id);
    if (loaded === undefined) {
      loaded = this.#fetchModel(entry);
      this.#loaded.set(entry.id, loaded);
      loaded.catch(() => this.#loaded.delete(entry.id)); // the next call tries again
    }
    return loaded;
  }

  async #fetchModel(entry: Entry): Promise<Stored> {
    const model = modelOf(await this.#arrays(entry.decode));
    const id = Number.parseInt(entry.id, 16);
    if (model.manifest.id !== id) {
      throw new ModelError(`model ${entry.decode}: id is ${model.manifest.id}; ${id} expected`);
    }
    return { model, encoding: () => this.#arrays(entry.encode) };
  }

  async #arrays(file: string): Promise<Arrays> {
    const { body } = await this.#fetch(file);
    if (body === null) {
      throw new ModelError(`model ${file}: the answer is empty`);
    }
    return read(body, file);
  }

  async #fetch(file: string): Promise<Response> {
    const url = new URL(file, this.#folder);
    let response: Response;
    try {
      response = await fetch(url);
    } catch (error) {
      throw new ModelError(`model: ${url.href} cannot be fetched: ${error}`);
    }
    if (!response.ok) {
      throw new ModelError(`model: ${url.href} cannot be fetched: status ${response.status}`);
    }
    return response;
  }
}

function isEntry(one: unknown): one is Entry {
  const entry = Object(one) as Record<string, unknown>;
  return ["name", "id", "decode", "encode"].every((field) => typeof entry[field] === "string");
}
