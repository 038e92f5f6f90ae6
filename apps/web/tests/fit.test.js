// Pictures are brought to size as Pillow does it in Python, to the bit.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fitPixels, planFit } from "../src/fit.js";

const stored = JSON.parse(readFileSync(join(import.meta.dirname, "fits.json"), "utf-8"));
const [{ picture, pixels: noise }, ...cases] = stored;
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

describe("fit", () => {
  const [height, width, channels] = picture;
  for (const { size, mode, pixels } of cases)
    it(`${height} x ${width} to ${size.join(" x ")}, ${mode}`, () => {
      const fit = planFit([height, width], size, mode);
      const found = fitPixels({ data: bytes(noise), height, width, channels }, fit);
      assert.deepEqual(new Uint8Array(found), bytes(pixels));
    });

  it("leaves a picture of the right size alone", () => {
    const data = bytes(noise);
    const fit = planFit([height, width], [height, width], "crop");
    assert.equal(fitPixels({ data, height, width, channels }, fit), data);
  });
});
