// An exported package: its manifest, and its LiteRT file made ready to run.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { fixBatch } from "./fixed_batch.js";
import { FORMATS } from "./formats.js";

const FORMAT_VERSION = 2;

let runtime; // the promise of LiteRT.js, which is loaded once

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
  return new Model(manifest, format, await compile(content));
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

async function compile(content) {
  runtime ??= loadLiteRt(new URL("wasm/", document.baseURI).href);
  await runtime;
  fixBatch(content);
  return loadAndCompile(new Uint8Array(content), { accelerator: "wasm" });
}

/** A package that is ready to run; `manifest` is its `model.json`. */
class Model {
  #compiled;

  constructor(manifest, format, compiled) {
    this.manifest = manifest;
    this.format = format;
    this.#compiled = compiled;
  }

  /** `[height, width, channels]` if pictures go in, otherwise undefined. */
  get pictureShape() {
    const [input, ...others] = this.manifest.inputs;
    const picture = input.name === "image" && input.dtype === "uint8" && others.length === 0;
    return picture ? input.shape.slice(1) : undefined;
  }

  /**
   * Answers for one example.
   *
   * @param {Object<string, TypedArray>} inputs By name, without the batch axis.
   * @returns {Promise<Object<string, TypedArray>>} Every output by name, without the batch axis.
   */
  async run(inputs) {
    const tensors = {};
    for (const { name, shape } of this.manifest.inputs)
      tensors[name] = new Tensor(inputs[name], [1, ...shape.slice(1)]);
    const outputs = await this.#compiled.run(tensors);
    const answers = {};
    for (const { name } of this.manifest.outputs)
      answers[name] = outputs[name].toTypedArray().slice();
    for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
    return answers;
  }

  delete() {
    this.#compiled.delete();
  }
}
