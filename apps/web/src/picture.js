// From files, canvases and videos to the pixels of the network.

import { fitPixels, planFit } from "./fit.js";

const GREY = [19595, 38470, 7471]; // ITU-R 601 luma in 16 bits, as Pillow has it

/**
 * A picture that is upright and on white.
 *
 * @param {Blob} file
 * @returns {Promise<HTMLCanvasElement>}
 * @throws {Error} If the browser can't decode it.
 */
export async function decode(file) {
  let bitmap;
  try {
    // Python does not convert between colour spaces either.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name ?? "The file"} is no picture that this browser can read.`);
  }
  const canvas = copy(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return canvas;
}

/** A part of an image, a canvas or a video on a new canvas, with a colour below and beside it. */
export function copy(source, width, height, left = 0, top = 0, ground = "white") {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  // Kept in memory rather than on the graphics card, whose pixels come back slowly and not exactly.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.drawImage(source, left, top, width, height, 0, 0, width, height);
  return canvas;
}

/**
 * The input of the network, and which part of the picture it shows.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {[number, number, number]} shape `[height, width, channels]` of the network's input.
 * @param {"crop"|"stretch"|"pad"} mode How it is fitted.
 * @returns {{pixels: Uint8Array, fit: object}}
 */
export function prepare(canvas, [height, width, channels], mode) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const own = { height: canvas.height, width: canvas.width, channels };
  const fit = planFit([own.height, own.width], [height, width], mode);
  const pixels = fitPixels({ ...own, data: channels === 1 ? grey(data) : colours(data) }, fit);
  return { pixels: new Uint8Array(pixels), fit };
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

/** Pixels `(height, width, 1 or 3)` as a canvas. */
export function canvasOf(pixels, [height, width, channels]) {
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let channel = 0; channel < 3; channel++)
      image.data[4 * i + channel] = pixels[channels * i + (channels === 1 ? 0 : channel)];
    image.data[4 * i + 3] = 255;
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
