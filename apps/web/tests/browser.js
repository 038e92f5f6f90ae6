// A built page with some packages, and a Chromium that shows it.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { build, preview } from "vite";

/** Milliseconds that are waited, for machines that do something else besides. */
export const PATIENCE = 120_000;
const root = join(import.meta.dirname, "..");
/** The packages that ship with the project, or those of `$PACKAGES`. */
export const SAVED = process.env.PACKAGES ?? join(root, "../../saved_models");

/** `$CHROME`, or the first of the usual names that is installed. */
function findChromium() {
  if (process.env.CHROME) return process.env.CHROME;
  for (const name of ["chromium", "google-chrome", "chromium-browser"])
    try {
      return execFileSync("which", [name], { encoding: "utf-8" }).trim();
    } catch {
      continue;
    }
  throw new Error("There is no Chromium: install one (apt-get install chromium) or set CHROME.");
}

/** Copies the shipped packages, less what the page needs not. */
export function copyPackages(folder) {
  const unused = /[\\/](savedmodel|serving|model\.onnx)$/;
  cpSync(SAVED, folder, { recursive: true, filter: (path) => !unused.test(path) });
}

/**
 * Builds the page with some packages, serves it and starts a browser.
 *
 * @param {string} packages Folder of the packages.
 * @returns {Promise<{browser: object, url: string, close: function(): Promise}>}
 */
export async function startBrowser(packages) {
  process.env.PACKAGES = packages;
  const outDir = mkdtempSync(join(tmpdir(), "vislearn-web-"));
  await build({ root, logLevel: "warn", build: { outDir, emptyOutDir: true } });
  const server = await preview({ root, build: { outDir }, preview: { port: 0 } });
  const args = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  if (process.getuid?.() === 0) args.push("--no-sandbox"); // Chromium's sandbox refuses root.
  const executablePath = findChromium();
  const browser = await chromium.launch({ executablePath, args, timeout: PATIENCE });
  return {
    browser,
    url: server.resolvedUrls.local[0],
    async close() {
      await browser.close();
      await server.close();
      rmSync(outDir, { recursive: true });
    },
  };
}
