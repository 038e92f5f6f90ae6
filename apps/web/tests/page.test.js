// The page in headless Chromium: what it answers is what Python answers, and every mode works.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { PATIENCE, startBrowser } from "./browser.js";
import { writeThree } from "./screenshots.js";

const HERE = import.meta.dirname;
const PACKAGES = join(HERE, "packages");
const TOLERANCE = 1e-3;

let site, page, fetched;
before(async () => (site = await startBrowser(PACKAGES)));
after(() => site.close());

beforeEach(async () => {
  page = await site.browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  fetched = [];
  page.on("request", (request) => fetched.push(request.url()));
});
afterEach(() => page.close());

/** Opens the page with a package, and waits until it can be used. */
async function open(name) {
  await page.goto(`${site.url}#${name}`);
  await page.locator("#about", { hasText: "MB" }).waitFor();
}

const picture = (name) => join(HERE, "pictures", name);
const alert = (text) => page.getByRole("alert").filter({ hasText: text }).waitFor();

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

/** Drags a file or a folder from the desktop onto the page. */
async function drop(path) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"])
    await session.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
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
  for (const { package: name, picture: file, latent, answers } of stored)
    it(`${name}, ${file ?? latent}`, async () => {
      await open(name);
      if (file) await answered(() => page.setInputFiles("#file", picture(file)));
      else
        for (const [i, value] of latent.entries())
          await answered(() => page.locator("#codes input").nth(i).fill(String(value)));
      assertClose(await saved(), answers);
    });
});

describe("modes", () => {
  it("reads a digit that is drawn, and forgets it", async () => {
    await open("digits");
    await writeThree(page);
    await page.locator("#save").waitFor();
    const { class_id } = await saved();
    assert.deepEqual(class_id, [3]);
    await page.getByRole("button", { name: "Clear" }).click();
    assert.equal(await page.locator("#found").textContent(), "");
  });

  it("draws boxes of at least a score", async () => {
    await open("shapes_boxes");
    await answered(() => page.setInputFiles("#file", picture("shapes.png")));
    const { scores } = await saved();
    const rows = page.locator("#found li");
    for (const least of [0.05, 0.5, 0.95]) {
      await page.getByLabel("Least score").fill(String(least));
      assert.equal(await rows.count(), scores.filter((score) => score >= least).length);
    }
  });

  it("colours the pixels of each class", async () => {
    await open("shapes_masks");
    await answered(() => page.setInputFiles("#file", picture("shapes.png")));
    const { mask } = await saved();
    assert.equal(await page.locator("#found li").count(), new Set(mask).size);
    // A blue circle or an orange square must be where the network says: the overlay changes pixels.
    const colours = await page.locator("#view").evaluate((view) => {
      const { data } = view.getContext("2d").getImageData(0, 0, view.width, view.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    assert.ok(colours > new Set(mask).size);
  });

  it("makes another picture for each code", async () => {
    await open("digits_vae");
    await page.locator("#save").waitFor();
    const before = await saved();
    await answered(() => page.getByRole("button", { name: "Draw again" }).click());
    assert.notDeepEqual(await saved(), before);
  });

  it("answers what the camera shows, until it is stopped", async () => {
    await open("shapes_masks");
    await page.getByLabel("Camera").press("Space");
    await page.locator("#time", { hasText: "an answer" }).waitFor();
    const live = () => page.locator("#video").evaluate((video) => video.srcObject !== null);
    assert.ok(await live());
    await page.getByRole("button", { name: "Stop the camera" }).click();
    assert.ok(!(await live()));
  });
});

describe("packages", () => {
  let folder;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "vislearn-package-"));
    cpSync(join(PACKAGES, "digits"), folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("opens one from this device", async () => {
    await open("shapes_boxes");
    await page.setInputFiles("#folder", folder);
    await page.locator("#about", { hasText: "classification" }).waitFor();
    await answered(() => page.setInputFiles("#file", picture("digit.png")));
    assert.equal((await saved()).scores.length, 10);
  });

  it("takes folders and pictures that are dropped on it", async () => {
    await open("shapes_boxes");
    await drop(folder);
    await page.locator("#about", { hasText: "classification" }).waitFor();
    await answered(() => drop(picture("digit.png")));
    assert.equal((await saved()).scores.length, 10);
  });

  it("refuses a file that was changed", async () => {
    const file = join(folder, "model.tflite");
    const content = readFileSync(file);
    content[content.length - 1] ^= 1;
    writeFileSync(file, content);
    await open("shapes_boxes");
    await page.setInputFiles("#folder", folder);
    await alert("sha256");
  });

  it("refuses what it can't read, and goes on with what it has", async () => {
    await open("shapes_boxes");
    await page.setInputFiles("#file", join(PACKAGES, "digits", "labels.txt"));
    await alert("labels.txt is no picture");
    rmSync(join(folder, "model.json"));
    await page.setInputFiles("#folder", folder);
    await alert("there is no model.json");
    await answered(() => page.setInputFiles("#file", picture("shapes.png")));
    assert.ok(await page.getByRole("alert").isHidden());
  });

  it("fetches nothing from elsewhere", async () => {
    await open("digits");
    const origins = new Set(fetched.map((url) => new URL(url).origin));
    assert.deepEqual([...origins], [new URL(site.url).origin]);
  });
});
