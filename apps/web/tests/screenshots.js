// Pictures of every mode, for the documentation:
//
//     node tests/screenshots.js

import { join } from "node:path";
import { PATIENCE, startBrowser } from "./browser.js";

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

const SHOTS = {
  draw: { package: "digits", act: writeThree },
  boxes: { package: "shapes_boxes", file: "shapes.png" },
  masks_dark: { package: "shapes_masks", file: "shapes.png", dark: true },
  latent_dark: { package: "digits_vae", dark: true },
  camera: { package: "shapes_masks", act: (page) => page.getByLabel("Camera").press("Space") },
  narrow: { package: "shapes_boxes", file: "shapes_wide.png", width: 390 },
  narrow_dark: { package: "digits", act: writeThree, width: 390, dark: true },
};

if (import.meta.filename === process.argv[1]) {
  const site = await startBrowser(process.env.PACKAGES ?? join(HERE, "packages"));
  const wanted = process.argv.slice(2);
  for (const [name, shot] of Object.entries(SHOTS)) {
    if (wanted.length && !wanted.includes(name)) continue;
    const page = await site.browser.newPage({
      viewport: { width: shot.width ?? 1040, height: 760 },
      colorScheme: shot.dark ? "dark" : "light",
    });
    page.on("pageerror", (error) => console.error(name, error));
    await page.goto(`${site.url}#${shot.package}`);
    await page.locator("#about", { hasText: "MB" }).waitFor();
    if (shot.file) await page.setInputFiles("#file", picture(shot.file));
    await shot.act?.(page);
    await page.locator("#save").waitFor({ timeout: PATIENCE });
    await page.screenshot({ path: join(OUT, `${name}.png`), fullPage: true });
    await page.close();
  }
  await site.close();
}
