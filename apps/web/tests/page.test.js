// The page in headless Chromium: what it answers is what Python answers, and every mode works.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { startBrowser } from "./browser.js";

const HERE = import.meta.dirname;
const PACKAGES = join(HERE, "packages");
const TOLERANCE = 1e-3;

let site, page;
before(async () => (site = await startBrowser(PACKAGES)));
after(() => site.close());

beforeEach(async () => {
  page = await site.browser.newPage();
});
afterEach(() => page.close());

/** Opens the page with a package, and waits until it can be used. */
async function open(name) {
  await page.goto(`${site.url}#${name}`);
  await page.locator("#about", { hasText: "MB" }).waitFor();
}

/** Everything that the network answered last. */
async function saved() {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save the answer" }).click();
  return JSON.parse(readFileSync(await (await download).path(), "utf-8")).answers;
}

/** Changes one of the inputs of the page, and waits for the answer that follows. */
async function answered(change) {
  await page.evaluate(() => document.querySelector("#found").replaceChildren());
  await change();
  await page.locator("#found > *").first().waitFor();
}

function assertClose(found, expected) {
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const [name, values] of Object.entries(expected)) {
    assert.equal(found[name].length, values.length, name);
    const gap = Math.max(...values.map((value, i) => Math.abs(value - found[name][i])));
    assert.ok(gap <= TOLERANCE, `${name} differs by ${gap}`);
  }
}

describe("answers are those of Python", () => {
  const stored = JSON.parse(readFileSync(join(HERE, "answers.json"), "utf-8"));
  for (const { package: name, picture, latent, answers } of stored)
    it(`${name}, ${picture ?? latent}`, async () => {
      await open(name);
      if (picture) await answered(() => page.setInputFiles("#file", join(HERE, "pictures", picture)));
      else
        for (const [i, value] of latent.entries())
          await answered(() => page.locator("#codes input").nth(i).fill(String(value)));
      assertClose(await saved(), answers);
    });
});
