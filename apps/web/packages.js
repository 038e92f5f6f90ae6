// Which packages lie in a folder, and which of their files the page needs.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { FORMATS } from "./src/formats.js";

const NEEDED = ["model.json", ...Object.values(FORMATS)];

/**
 * The files of all packages at any depth below a folder, and an index of them.
 *
 * @param {string} root The folder, such as `saved_models`.
 * @returns {Object<string, function(): (Buffer|string)>} By path, what reads it.
 */
export function packageFiles(root) {
  const found = existsSync(root) ? readdirSync(root, { recursive: true }) : [];
  const files = {};
  const folders = found
    .filter((path) => path.endsWith("model.json"))
    .map(dirname)
    .filter((folder) => existsSync(join(root, folder, "model.tflite")))
    .sort();
  for (const folder of folders)
    for (const name of NEEDED.filter((name) => existsSync(join(root, folder, name))))
      files[`packages/${folder}/${name}`] = () => readFileSync(join(root, folder, name));
  files["packages/index.json"] = () => JSON.stringify(folders);
  return files;
}
