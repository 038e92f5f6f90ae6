// From a picture to the pixels of the network. Runs in the worker: a photograph takes a second.

import { fitPixels, planFit } from "./fit.js";

const GREY = [19595, 38470, 7471]; // ITU-R 601 luma in 16 bits, as Pillow has it
const LONG_SIDE = 768; // pixels of the view

/**
 * The input of the network, and a view of the part of the picture that it shows.
 *
 * @param {File|ImageBitmap|ImageData} picture A file is turned upright; what can be seen through is
 *     laid on white.
 * @param {[number, number, number]} shape `[height, width, channels]` of the network's input.
 * @param {"crop"|"stretch"|"pad"} mode How it is fitted.
 * @returns {Promise<{pixels: Uint8Array, view: ImageBitmap}>}
 * @throws {Error} If the browser can't decode or draw it.
 */
export async function preparePicture(picture, [height, width, channels], mode) {
  let bitmap;
  try {
    // Python does not convert between colour spaces either.
    bitmap = await createImageBitmap(picture, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${picture.name ?? "This"} is no picture that this browser can read.`);
  }
  const own = { height: bitmap.height, width: bitmap.width };
  const fit = planFit([own.height, own.width], [height, width], mode);
  const rows = (top, count) => {
    const data = drawn(bitmap, top, count);
    return channels === 1 ? grey(data) : colours(data);
  };
  const pixels = new Uint8Array(fitPixels({ ...own, channels, rows }, fit));
  const view = makeView(bitmap, fit);
  bitmap.close();
  return { pixels, view };
}

/** Some rows of a bitmap, four bytes a pixel. */
function drawn(bitmap, top, count) {
  const canvas = new OffscreenCanvas(bitmap.width, count);
  // Kept in memory rather than on the graphics card, whose pixels come back slowly and not exactly.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, bitmap.width, count);
  context.drawImage(bitmap, 0, -top);
  const { data } = context.getImageData(0, 0, bitmap.width, count);
  // A canvas that is larger than the browser's limit stays empty, and nothing else tells.
  if (data[3] !== 255)
    throw new Error(`This browser can't draw pictures that are ${bitmap.width} pixels wide.`);
  return data;
}

function grey(data) {
  const values = new Uint8Array(data.length / 4);
  for (let i = 0; i < values.length; i++) {
    const sum = GREY[0] * data[4 * i] + GREY[1] * data[4 * i + 1] + GREY[2] * data[4 * i + 2];
    values[i] = (sum + 0x8000) >> 16;
  }
  return values;
}

function colours(data) {
  const values = new Uint8Array((data.length / 4) * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    values[to++] = data[from];
    values[to++] = data[from + 1];
    values[to++] = data[from + 2];
  }
  return values;
}

/** The part of a picture that the network gets, as large as the page shows it. */
function makeView(bitmap, { size: [height, width], box, inner }) {
  const zoom = LONG_SIDE / Math.max(height, width);
  const canvas = new OffscreenCanvas(Math.round(width * zoom), Math.round(height * zoom));
  const context = canvas.getContext("2d");
  const [left, top, right, bottom] = box;
  const filled = [0, 0, inner[1] * zoom, inner[0] * zoom];
  context.imageSmoothingEnabled = Math.max(right - left, bottom - top) > 128;
  context.fillStyle = "rgb(114 114 114)"; // as fit.js pads
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "white";
  context.fillRect(...filled);
  context.drawImage(bitmap, left, top, right - left, bottom - top, ...filled);
  return canvas.transferToImageBitmap();
}
