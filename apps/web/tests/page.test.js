// The page in headless Chromium: what it answers is what Python answers, and every mode works.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { copyPackages, PATIENCE, startBrowser } from "./browser.js";
import { writeThree } from "./screenshots.js";

const HERE = import.meta.dirname;
const TOLERANCE = 1e-3;
const ROUNDED = 0.02; // share of a mask's pixels that int8 kernels may round otherwise

let folder, site, page, fetched;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "vislearn-page-"));
  const packages = join(folder, "packages");
  copyPackages(packages);
  cpSync(join(HERE, "conditional"), join(packages, "conditional"), { recursive: true });
  cpSync(join(packages, "digits"), join(packages, "50% #1"), { recursive: true });
  site = await startBrowser(packages);
});
after(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  page = await site.browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  fetched = [];
  page.on("request", (request) => fetched.push(request.url()));
});
afterEach(() => page.close());

/** Opens the page with a package, and waits until it can be used. */
async function open(name, format = "litert") {
  await page.goto(`${site.url}#${encodeURIComponent(name)}`);
  await page.locator("#about", { hasText: "MB" }).waitFor();
  if (format !== "litert") await useFormat(format);
}

async function useFormat(format) {
  const about = page.locator("#about");
  const before = await about.textContent(); // its size tells one from the other
  await page.getByLabel("Format").selectOption(format);
  await about.filter({ hasNotText: before }).waitFor();
}

const picture = (name) => join(HERE, "pictures", name);
const alert = (text) => page.getByRole("alert").filter({ hasText: text }).waitFor();
const isOpen = (task) => page.locator("#about", { hasText: task }).waitFor();

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

const choose = (file) => page.setInputFiles("#file", file);

/** Drags a file or a folder from the desktop onto the page. */
async function drop(path) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"])
    await session.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
}

function assertClose(found, stored, format) {
  assert.deepEqual(Object.keys(found).sort(), Object.keys(stored).sort());
  for (const [name, { size, step, values }] of Object.entries(stored)) {
    assert.equal(found[name].length, size, name);
    const gaps = values.map((value, i) => Math.abs(value - found[name][i * step]));
    const off = gaps.filter((gap) => !(gap <= TOLERANCE)).length;
    const allowed = format === "litert_int8" && step > 1 ? ROUNDED : 0;
    assert.ok(off <= allowed * gaps.length, `${off} of ${name} differ, by ${Math.max(...gaps)}`);
  }
}

describe("answers are those of Python", () => {
  const stored = JSON.parse(readFileSync(join(HERE, "answers.json"), "utf-8"));
  for (const { package: name, format, picture: file, latent, answers } of stored)
    it(`${name}, ${format}, ${file ?? latent}`, async () => {
      await open(name, format);
      if (file) await answered(() => choose(picture(file)));
      else
        for (const [i, value] of latent.entries())
          await answered(() => page.locator("#codes input").nth(i).fill(String(value)));
      assertClose(await saved(), answers, format);
    });
});

describe("modes", () => {
  it("reads a digit that is drawn, and forgets it", async () => {
    await open("mnist");
    await writeThree(page);
    // It is answered from the first stroke on.
    await page.locator("#found li").first().filter({ hasText: /^3/ }).waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    assert.equal(await page.locator("#found").textContent(), "");
  });

  it("tells those who can't draw what to do instead", async () => {
    await open("digits");
    await page.getByRole("img", { name: "by keyboard, open a picture" }).waitFor();
  });

  it("draws boxes of at least a score", async () => {
    await open("shapes_detector");
    await answered(() => choose(picture("shapes.png")));
    const { scores } = await saved();
    const rows = page.locator("#found li");
    for (const least of [0.05, 0.5, 0.95]) {
      await page.getByLabel("Least score").fill(String(least));
      assert.equal(await rows.count(), scores.filter((score) => score >= least).length);
    }
  });

  it("colours the pixels of each class", async () => {
    await open("shapes_segmenter");
    await answered(() => choose(picture("shapes.png")));
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
    await open("mnist_generator/decoder");
    await page.locator("#save").waitFor();
    const before = await saved();
    await answered(() => page.getByRole("button", { name: "Draw again" }).click());
    assert.notDeepEqual(await saved(), before);
  });

  it("makes a picture of the class that is chosen, or of any", async () => {
    await open("conditional");
    await page.locator("#save").waitFor();
    assert.equal(await page.locator("#codes input").count(), 0); // noise has no sliders
    const light = [];
    for (const name of ["dark", "light", "any"]) {
      await answered(() => page.getByLabel("label").selectOption(name));
      const { image } = await saved();
      light.push(image.reduce((sum, value) => sum + value, 0) / image.length);
    }
    for (const i of [0, 1, 2]) assert.ok(Math.abs(light[i] - 60 - 60 * i) < 10, light);
  });
});

describe("camera", () => {
  /** Notes each stream, and gives them out when `release` is called. */
  const holdCameras = () =>
    page.addInitScript(() => {
      const ask = MediaDevices.prototype.getUserMedia;
      window.streams = [];
      const released = new Promise((release) => (window.release = release));
      MediaDevices.prototype.getUserMedia = async function (wanted) {
        const stream = await ask.call(this, wanted);
        window.streams.push(stream);
        await released;
        return stream;
      };
    });
  const live = () => page.evaluate(() => window.streams.filter((stream) => stream.active).length);
  const show = () => page.getByLabel("Camera").press("Space");

  it("is answered until it is stopped, and not read aloud", async () => {
    await holdCameras();
    await open("shapes_segmenter");
    await page.evaluate(() => window.release());
    await show();
    await page.locator("#time", { hasText: "an answer" }).waitFor();
    assert.equal(await live(), 1);
    assert.equal(await page.locator("#found").getAttribute("aria-live"), "off");
    await page.getByRole("button", { name: "Stop the camera" }).click();
    assert.equal(await live(), 0);
    assert.equal(await page.locator("#found").getAttribute("aria-live"), "polite");
  });

  it("is stopped, too, if it comes when something else was chosen", async () => {
    await holdCameras();
    await open("shapes_segmenter");
    await show();
    await page.getByLabel("Picture", { exact: true }).press("Space");
    await show();
    await page.waitForFunction(() => window.streams.length === 2);
    await page.evaluate(() => window.release());
    await page.locator("#time", { hasText: "an answer" }).waitFor();
    assert.equal(await live(), 1);
    await page.getByRole("button", { name: "Stop the camera" }).click();
    assert.equal(await live(), 0);
  });

  it("is stopped by what goes wrong", async () => {
    await holdCameras();
    await open("shapes_segmenter");
    await page.evaluate(() => window.release());
    await show();
    await page.locator("#time", { hasText: "an answer" }).waitFor();
    await page.evaluate(() => {
      window.createImageBitmap = () => Promise.reject(new Error("No memory is left."));
    });
    await alert("No memory is left.");
    assert.equal(await live(), 0);
    assert.ok(await page.getByLabel("Picture", { exact: true }).isChecked());
  });
});

describe("large pictures", () => {
  /** A white picture of one bit a pixel. */
  function writePng(width, height) {
    const chunk = (type, content) => {
      const body = Buffer.concat([Buffer.from(type), content]);
      const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
      size.writeUInt32BE(content.length);
      sum.writeUInt32BE(crc32(body));
      return Buffer.concat([size, body, sum]);
    };
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header[8] = 1;
    const line = Buffer.alloc(1 + Math.ceil(width / 8), 255).fill(0, 0, 1);
    const lines = deflateSync(Buffer.concat(Array(height).fill(line)), { level: 1 });
    const parts = [chunk("IHDR", header), chunk("IDAT", lines), chunk("IEND", Buffer.alloc(0))];
    const file = join(folder, `${width}x${height}.png`);
    writeFileSync(file, Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]));
    return file;
  }

  it("are refused in words where the browser would see black", async () => {
    await open("shapes_detector");
    await choose(writePng(10_001, 10_000));
    await alert("10001x10000.png has 10001 × 10000 pixels, more than the limit of 100 million.");
    await choose(writePng(70_000, 1));
    await alert("can't draw pictures that are 70000 pixels wide");
    assert.equal(await page.locator("#found").textContent(), "");
  });

  it("leave the page alone: the worker decodes them and brings them to size", async () => {
    await open("shapes_segmenter");
    const url = await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(4000, 3000);
      const context = canvas.getContext("2d");
      for (let i = 0; i < 20_000; i++) {
        context.fillStyle = `hsl(${Math.random()}turn 70% 50%)`;
        context.fillRect(Math.random() * 4000, Math.random() * 3000, 90, 60);
      }
      const reader = new FileReader();
      reader.readAsDataURL(await canvas.convertToBlob({ type: "image/jpeg" }));
      await new Promise((done) => (reader.onload = done));
      return reader.result;
    });
    const photo = join(folder, "photo.jpg");
    writeFileSync(photo, Buffer.from(url.split(",")[1], "base64"));
    const session = await page.context().newCDPSession(page);
    // Of the processor alone, so that other work of the machine does not count.
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const busy = async () => {
      const { metrics } = await session.send("Performance.getMetrics");
      return 1000 * metrics.find(({ name }) => name === "TaskDuration").value;
    };
    const before = await busy();
    await answered(() => choose(photo));
    const spent = (await busy()) - before;
    assert.ok(spent < 150, `${spent} ms`); // 40 ms; it was ten times as much without the worker
  });
});

describe("packages", () => {
  let other;
  beforeEach(() => {
    other = mkdtempSync(join(tmpdir(), "vislearn-package-"));
    cpSync(join(folder, "packages/digits"), other, { recursive: true });
  });
  afterEach(() => rmSync(other, { recursive: true }));

  const openFolder = () => page.setInputFiles("#folder", other);
  const chosen = () => page.getByLabel("Package").inputValue();

  function changeManifest(changes) {
    const file = join(other, "model.json");
    const manifest = JSON.parse(readFileSync(file, "utf-8"));
    writeFileSync(file, JSON.stringify({ ...manifest, ...changes }));
  }

  it("opens one from this device", async () => {
    const inside = join(folder, "packages/mnist_generator/decoder");
    cpSync(inside, join(other, "decoder"), { recursive: true });
    await open("shapes_detector");
    await openFolder();
    await isOpen("classification");
    assert.equal(await chosen(), "");
    await answered(() => choose(picture("digit.png")));
    assert.equal((await saved()).scores.length, 10);
  });

  it("opens one whose name means something in an address", async () => {
    await open("50% #1");
    assert.equal(await chosen(), "50% #1");
    await answered(() => choose(picture("digit.png")));
    await page.reload();
    await isOpen("classification");
    assert.equal(await chosen(), "50% #1");
  });

  it("takes folders and pictures that are dropped on it", async () => {
    await open("shapes_detector");
    await drop(other);
    await isOpen("classification");
    await answered(() => drop(picture("digit.png")));
    assert.equal((await saved()).scores.length, 10);
  });

  it("shows numbers where it has no picture of them", async () => {
    changeManifest({ task: "regression", classes: [] });
    await open("shapes_detector");
    await openFolder();
    await isOpen("regression");
    await answered(() => choose(picture("digit.png")));
    const { scores, class_id } = await saved();
    const [names, numbers] = [page.locator("#found dt"), page.locator("#found dd")];
    assert.equal(await names.count(), 11);
    const shown = Object.fromEntries((await names.allTextContents()).map((name, i) => [name, i]));
    const number = async (name) => Number(await numbers.nth(shown[name]).textContent());
    assert.equal(await number("class_id 1"), class_id[0]);
    assert.ok(Math.abs((await number("scores 3")) - scores[2]) <= 1e-3 * scores[2]);
  });

  it("takes the same picture again", async () => {
    await open("shapes_detector");
    await answered(() => choose(picture("shapes.png")));
    assert.equal(await page.locator("#file").inputValue(), ""); // else it would not be a change
    await openFolder();
    await isOpen("classification");
    assert.equal(await page.locator("#folder").inputValue(), "");
  });

  it("does not wait for an answer of the one before", async () => {
    await page.addInitScript(() => {
      window.Worker = class extends Worker {
        postMessage(message, moved) {
          if (message.task !== "run" || !window.slow) super.postMessage(message, moved);
        }
      };
    });
    await open("shapes_detector");
    await page.evaluate(() => (window.slow = true));
    await choose(picture("shapes.png"));
    await page.getByLabel("Package").selectOption("shapes_segmenter");
    await isOpen("segmentation");
    await page.evaluate(() => (window.slow = false));
    await answered(() => choose(picture("shapes.png")));
    assert.ok("mask" in (await saved()));
    assert.ok(await page.getByRole("alert").isHidden());
  });

  it("refuses a file that was changed", async () => {
    const file = join(other, "model.tflite");
    const content = readFileSync(file);
    content[content.length - 1] ^= 1;
    writeFileSync(file, content);
    await open("shapes_detector");
    await openFolder();
    await alert("sha256");
  });

  it("refuses what it can't read, and goes on with what it has", async () => {
    await open("shapes_detector");
    await choose(join(other, "labels.txt"));
    await alert("labels.txt is no picture");
    rmSync(join(other, "model.json"));
    await openFolder();
    await alert("there is no model.json");
    await answered(() => choose(picture("shapes.png")));
    assert.ok(await page.getByRole("alert").isHidden());
    assert.equal(await chosen(), "shapes_detector");
    await useFormat("litert_int8");
    await page.route("**/mnist/*", (route) => route.abort());
    await page.getByLabel("Package").selectOption("mnist");
    await alert("fetch");
    assert.equal(await chosen(), "shapes_detector");
    assert.equal(await page.getByLabel("Format").inputValue(), "litert_int8");
  });

  it("fetches nothing from elsewhere", async () => {
    await open("digits");
    await answered(() => choose(picture("digit.png")));
    const origins = new Set(fetched.map((url) => new URL(url).origin));
    assert.deepEqual([...origins], [new URL(site.url).origin]);
  });
});
