// Prepares pictures and runs one LiteRT file away from the page, which stays alive meanwhile.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { preparePicture } from "./prepare.js";

let compiled;

const tasks = {
  /** Loads LiteRT.js from `wasm` and makes the file `content` ready. */
  async open({ wasm, content }) {
    // A worker made of a blob has no folder in which Emscripten would look for its files.
    self.Module = { locateFile: (name) => wasm + name };
    await loadLiteRt(wasm);
    compiled = await loadAndCompile(new Uint8Array(content), { accelerator: "wasm" });
  },

  prepare({ picture, shape, mode }) {
    return preparePicture(picture, shape, mode);
  },

  /** Answers for `inputs`, by name `{values, shape}`; and the milliseconds that it took. */
  async run({ inputs }) {
    const start = performance.now();
    const tensors = {};
    for (const [name, { values, shape }] of Object.entries(inputs))
      tensors[name] = new Tensor(values, shape);
    const outputs = await compiled.run(tensors);
    const answers = {};
    for (const [name, tensor] of Object.entries(outputs))
      answers[name] = tensor.toTypedArray().slice();
    for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
    return { answers, milliseconds: performance.now() - start };
  },
};

self.onmessage = async ({ data: { id, task, given } }) => {
  try {
    const value = await tasks[task](given);
    const moved = Object.values(value ?? {}).filter((part) => part instanceof ImageBitmap);
    self.postMessage({ id, value }, moved);
  } catch (error) {
    self.postMessage({ id, problem: error.message });
  }
};
