import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vite";
import { packageFiles } from "./packages.js";

const here = import.meta.dirname;
const runtime = resolve(here, "node_modules/@litertjs/core/wasm");
// With relaxed SIMD, and without; LiteRT.js takes the one that the browser can run.
const runtimes = ["litert_wasm_internal", "litert_wasm_compat_internal"];

/** The files that the page fetches when it runs, by their paths beside it. */
function fetched() {
  const files = packageFiles(process.env.PACKAGES ?? resolve(here, "../../saved_models"));
  for (const name of runtimes.flatMap((name) => [`${name}.js`, `${name}.wasm`]))
    files[`wasm/${name}`] = () => readFileSync(`${runtime}/${name}`);
  return files;
}

const fetchedFiles = {
  name: "fetched-files",
  generateBundle() {
    for (const [fileName, read] of Object.entries(fetched()))
      this.emitFile({ type: "asset", fileName, source: read() });
  },
};

// The browser itself sees to it that nothing is fetched from elsewhere, and nothing sent there.
const policy = {
  name: "policy",
  transformIndexHtml: () => [
    {
      tag: "meta",
      attrs: {
        "http-equiv": "Content-Security-Policy",
        content:
          "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; " +
          "img-src 'self' blob:; media-src mediastream:",
      },
      injectTo: "head-prepend",
    },
  ],
};

export default defineConfig({
  base: "./", // the built page may lie in any folder of a site
  appType: "mpa", // what is missing is a 404, not the page
  plugins: [fetchedFiles, policy],
  build: { target: "es2022", assetsInlineLimit: 0 },
});
