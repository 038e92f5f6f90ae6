// Pictures of every mode, for the documentation:
//
//     node tests/screenshots.js

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PATIENCE, SAVED, startBrowser } from "./browser.js";

const HERE = import.meta.dirname;
const OUT = join(HERE, "../../../docs/images/web");
const picture = (name) => join(HERE, "pictures", name);

/** Writes a three on the pad, with the mouse: two arcs, one below the other. */
export async function writeThree(page) {
  const { x, y, width } = await page.locator("#pad").boundingBox();
  for (const centre of [0.32, 0.64])
    for (let angle = -2.2; angle < 1.8; angle += 0.3) {
      const right = 0.46 + 0.17 * Math.cos(angle);
      const down = centre + 0.16 * Math.sin(angle);
      await page.mouse.move(x + right * width, y + down * width);
      if (centre === 0.32 && angle === -2.2) await page.mouse.down();
    }
  await page.mouse.up();
}

const THREE = [-0.26, -2, -0.38, 0.66, 1.48, -0.31, 1.55, 0.22]; // the encoder's code of one

async function setCode(page) {
  for (const [i, value] of THREE.entries())
    await page.locator("#codes input").nth(i).fill(String(value));
}

const leaveOutDoubts = (page) => page.getByLabel("Least score").fill("0.5");

/** Has the camera see a picture in place of Chromium's test card. */
async function useCamera(page) {
  const file = [...readFileSync(picture("shapes_wide.png"))];
  await page.evaluate(async (bytes) => {
    const seen = await createImageBitmap(new Blob([Uint8Array.from(bytes)]));
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 500 });
    const draw = () => canvas.getContext("2d").drawImage(seen, 0, 0, 640, 500);
    setInterval(draw, 50); // each time, a frame
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream();
  }, file);
  await page.getByLabel("Camera").press("Space");
}

const SHOTS = {
  draw: { package: "mnist", act: writeThree },
  boxes: { package: "shapes_detector", file: "shapes.png", act: leaveOutDoubts },
  masks_dark: { package: "shapes_segmenter", file: "shapes.png", dark: true },
  latent_dark: { package: "mnist_generator/decoder", act: setCode, dark: true },
  camera: { package: "shapes_segmenter", act: useCamera },
  narrow: { package: "shapes_detector", file: "shapes_wide.png", act: leaveOutDoubts, width: 390 },
  narrow_dark: { package: "mnist", act: writeThree, width: 390, dark: true },
};

if (import.meta.filename === process.argv[1]) {
  const site = await startBrowser(SAVED);
  const wanted = process.argv.slice(2);
  for (const [name, shot] of Object.entries(SHOTS)) {
    if (wanted.length && !wanted.includes(name)) continue;
    const page = await site.browser.newPage({
      viewport: { width: shot.width ?? 1040, height: 760 },
      colorScheme: shot.dark ? "dark" : "light",
    });
    page.on("pageerror", (error) => console.error(name, error));
    page.setDefaultTimeout(PATIENCE);
    await page.goto(`${site.url}#${shot.package}`);
    await page.locator("#about", { hasText: "MB" }).waitFor();
    if (shot.file) await page.setInputFiles("#file", picture(shot.file));
    await shot.act?.(page);
    // The first answer takes longer than those that follow.
    await page.locator("#save").waitFor();
    if (shot.file) await page.setInputFiles("#file", picture(shot.file));
    await page.locator("#time", { hasText: "an answer" }).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await page.screenshot({ path: join(OUT, `${name}.png`), fullPage: true });
    await page.close();
  }
  await site.close();
}
