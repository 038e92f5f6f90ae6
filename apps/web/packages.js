// Which packages lie in a folder, and which of their files the page needs.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { FORMATS, pathOf } from "./src/formats.js";

const NEEDED = ["model.json", ...Object.values(FORMATS)];

/**
 * The files of all packages at any depth below a folder, and an index of them.
 *
 * @param {string} root The folder, such as `saved_models`, or that of one package.
 * @returns {Object<string, function(): (Buffer|string)>} By path, what reads it.
 */
export function packageFiles(root) {
  const found = existsSync(root) ? readdirSync(root, { recursive: true }) : [];
  const folders = found
    .filter((path) => basename(path) === "model.json")
    .map(dirname)
    // An export that was broken off leaves a folder whose name starts with a dot.
    .filter((folder) => folder === "." || !/(^|[\\/])\./.test(folder))
    .filter((folder) => existsSync(join(root, folder, FORMATS.litert)))
    .sort();
  const files = {};
  const names = [];
  for (const folder of folders) {
    // Where the root is a package itself, its own name goes before all.
    const path = folders[0] === "." ? join(basename(resolve(root)), folder) : folder;
    const name = path.replaceAll("\\", "/");
    names.push(name);
    for (const file of NEEDED.filter((file) => existsSync(join(root, folder, file))))
      files[`packages/${pathOf(name)}/${file}`] = () => readFileSync(join(root, folder, file));
  }
  files["packages/index.json"] = () => JSON.stringify(names);
  return files;
}
