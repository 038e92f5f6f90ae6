// Pictures are brought to size as Pillow does it in Python, to the bit.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fitPixels, planFit } from "../src/fit.js";

const stored = JSON.parse(readFileSync(join(import.meta.dirname, "fits.json"), "utf-8"));
const [{ picture, pixels: noise }, ...cases] = stored;
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

const [height, width, channels] = picture;
const data = bytes(noise);
const rows = (top, count) =>
  data.subarray(top * width * channels, (top + count) * width * channels);

describe("fit", () => {
  for (const { size, mode, pixels } of cases)
    it(`${height} x ${width} to ${size.join(" x ")}, ${mode}`, () => {
      const fit = planFit([height, width], size, mode);
      const found = fitPixels({ height, width, channels, rows }, fit);
      assert.deepEqual(new Uint8Array(found), bytes(pixels));
    });

  it("leaves a picture of the right size alone", () => {
    const fit = planFit([height, width], [height, width], "crop");
    assert.deepEqual(fitPixels({ height, width, channels, rows }, fit), data);
  });

  it("takes a high picture in strips", () => {
    const tall = { height: 600, width: 2, channels: 1 };
    const all = Uint8Array.from({ length: 1200 }, (_, i) => (i * 89) % 256);
    const asked = [];
    const found = fitPixels(
      {
        ...tall,
        rows(top, count) {
          asked.push([top, count]);
          return all.subarray(2 * top, 2 * (top + count));
        },
      },
      planFit([600, 2], [600, 1], "stretch"),
    );
    assert.equal(asked.join("; "), "0,256; 256,256; 512,88");
    for (let row = 0; row < 600; row++)
      assert.ok(Math.abs(found[row] - (all[2 * row] + all[2 * row + 1]) / 2) <= 0.5);
  });
});
