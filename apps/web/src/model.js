// An exported package: its manifest, and its LiteRT file made ready to run.

import { fixBatch } from "./fixed_batch.js";
import { FORMATS } from "./formats.js";
import { checkPixels } from "./picture.js";
// Inside the page, so that the page's policy holds for it, too.
import RuntimeWorker from "./worker.js?worker&inline";

const FORMAT_VERSION = 2;

/**
 * Opens a package.
 *
 * @param {function(string): Promise<ArrayBuffer>} read Gives the content of one of its files.
 * @param {string} format A key of FORMATS that the package holds.
 * @throws {Error} If the files are no package, or damaged, or too new.
 */
export async function openPackage(read, format = "litert") {
  const manifest = readManifest(await read("model.json"));
  const file = FORMATS[format];
  if (!manifest.files[file]) throw new Error(`The package ${manifest.name} holds no ${file}.`);
  const content = await read(file);
  await verify(content, file, manifest);
  fixBatch(content);
  const runtime = new Runtime();
  try {
    const wasm = new URL("wasm/", document.baseURI).href;
    await runtime.do("open", { wasm, content }, [content]);
  } catch (error) {
    runtime.end();
    throw error;
  }
  return new Model(manifest, format, runtime);
}

function readManifest(content) {
  let manifest;
  try {
    manifest = JSON.parse(new TextDecoder().decode(content));
  } catch (error) {
    throw new Error(`model.json is damaged: ${error.message}`);
  }
  if (manifest.format_version !== FORMAT_VERSION)
    throw new Error(
      `model.json has format_version ${manifest.format_version}; the page reads ${FORMAT_VERSION}.`,
    );
  if (manifest.batch > 1)
    throw new Error(`The package takes ${manifest.batch} examples at a time; the page has one.`);
  return manifest;
}

async function verify(content, file, manifest) {
  if (!crypto.subtle) return; // Browsers have it on https and on this machine only.
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== manifest.files[file].sha256)
    throw new Error(`${file} has not the sha256 that model.json states: export or copy it again.`);
}

/** A worker that does one task after the other. */
class Runtime {
  #worker = new RuntimeWorker();
  #asked = new Map(); // by number, what settles the promise of a task
  #count = 0;
  #end; // why it does nothing more

  constructor() {
    this.#worker.onmessage = ({ data: { id, value, problem } }) => {
      const { resolve, reject } = this.#asked.get(id);
      this.#asked.delete(id);
      if (problem === undefined) resolve(value);
      else reject(new Error(problem));
    };
    this.#worker.onerror = ({ message }) => this.#fail(message || "The worker could not start.");
  }

  do(task, given, moved = []) {
    return new Promise((resolve, reject) => {
      if (this.#end) throw this.#end;
      const id = this.#count++;
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, given }, moved);
    });
  }

  end() {
    this.#worker.terminate();
    this.#fail("The package was closed.");
  }

  #fail(problem) {
    this.#end ??= new Error(problem);
    for (const { reject } of this.#asked.values()) reject(this.#end);
    this.#asked.clear();
  }
}

/** A package that is ready to run; `manifest` is its `model.json`. */
class Model {
  #runtime;

  constructor(manifest, format, runtime) {
    this.manifest = manifest;
    this.format = format;
    this.#runtime = runtime;
  }

  /** `[height, width, channels]` if pictures go in, otherwise undefined. */
  get pictureShape() {
    const [input, ...others] = this.manifest.inputs;
    const picture = input.name === "image" && input.dtype === "uint8" && others.length === 0;
    return picture ? input.shape.slice(1) : undefined;
  }

  /**
   * Brings a picture to what the network gets.
   *
   * @param {File|ImageBitmap|ImageData} picture A bitmap can't be used after it.
   * @returns {Promise<{pixels: Uint8Array, view: ImageBitmap}>} The input, and what it shows.
   * @throws {Error} If it is no picture, or too large a one.
   */
  async prepare(picture) {
    if (picture instanceof Blob) await checkPixels(picture);
    const moved = picture instanceof ImageBitmap ? [picture] : [];
    const mode = this.manifest.inputs[0].resize;
    return this.#runtime.do("prepare", { picture, shape: this.pictureShape, mode }, moved);
  }

  /**
   * Answers for one example.
   *
   * @param {Object<string, TypedArray>} inputs By name, without the batch axis.
   * @returns {Promise<{answers: Object<string, TypedArray>, milliseconds: number}>} Every output by
   *   name, without the batch axis, and the time that the network took.
   */
  run(inputs) {
    const given = this.manifest.inputs.map(({ name, shape }) => [
      name,
      { values: inputs[name], shape: [1, ...shape.slice(1)] },
    ]);
    return this.#runtime.do("run", { inputs: Object.fromEntries(given) });
  }

  /** Ends it, whatever it does: what it was asked fails. */
  delete() {
    this.#runtime.end();
  }
}
