// Pictures on the side of the page; prepare.js is what the worker does with them.

const MAX_PIXELS = 100_000_000; // as in Python; they take 400 MB when they are decoded

/**
 * Refuses a file of too many pixels before it is decoded.
 *
 * Beyond their limits browsers decode and draw nothing, and say nothing.
 *
 * @param {Blob} file
 * @throws {Error} If the file is no picture, or has too many pixels.
 */
export async function checkPixels(file) {
  const name = file.name ?? "The file";
  const image = new Image(); // reads the header alone, as long as it is not shown
  image.src = URL.createObjectURL(file);
  try {
    await new Promise((done, failed) => Object.assign(image, { onload: done, onerror: failed }));
  } catch {
    throw new Error(`${name} is no picture that this browser can read.`);
  } finally {
    URL.revokeObjectURL(image.src);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height > MAX_PIXELS)
    throw new Error(
      `${name} has ${width} × ${height} pixels, more than the limit of ${MAX_PIXELS / 1e6} million.`,
    );
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
