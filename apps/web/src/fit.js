// Brings pictures to the size of the network exactly as vislearn/data/images.py does in Python.

const PAD_GREY = 114;
// Pillow's fixed-point weights: 32 bits less 8 of the pixels and 2 for sums that overshoot.
const PRECISION = 22;
const STRIP = 256; // rows that are read at once: no canvas has to hold a whole photograph

/**
 * Which part of a picture fills which part of the result.
 *
 * @param {[number, number]} own `[height, width]` of the picture.
 * @param {[number, number]} size `[height, width]` of the result.
 * @param {"crop"|"stretch"|"pad"} mode
 * @returns {{size: number[], box: number[], inner: number[]}} The box is left, top, right, bottom
 *     in the picture; `inner` is the `[height, width]` that it fills, from the upper left on.
 */
export function planFit([ownHeight, ownWidth], size, mode) {
  const [height, width] = size;
  let box = [0, 0, ownWidth, ownHeight];
  let inner = size;
  if (ownHeight === height && ownWidth === width) return { size, box, inner };
  if (mode === "crop") {
    const scale = Math.min(ownHeight / height, ownWidth / width);
    const left = Math.max((ownWidth - width * scale) / 2, 0);
    const top = Math.max((ownHeight - height * scale) / 2, 0);
    box = [left, top, ownWidth - left, ownHeight - top];
  } else if (mode === "pad") {
    const scale = Math.min(height / ownHeight, width / ownWidth);
    inner = [ownHeight, ownWidth].map((side) => Math.max(roundHalfEven(side * scale), 1));
  }
  return { size, box, inner };
}

function roundHalfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

/**
 * The pixels that the network gets: Pillow's bilinear filter, to the bit.
 *
 * @param {{height: number, width: number, channels: number,
 *     rows: function(number, number): Uint8Array}} picture `rows(top, count)` gives some of its
 *     rows, `(count, width, channels)`.
 * @param {object} fit What `planFit` returned for it.
 * @returns {Uint8Array} `(height, width, channels)`
 */
export function fitPixels({ height, width, channels, rows }, { size, box, inner }) {
  if (height === size[0] && width === size[1]) return rows(0, height);
  const line = inner[1] * channels;
  const narrow = new Uint8ClampedArray(height * line);
  // Pillow goes along the rows first, and rounds to 8 bits in between.
  const across = weights(width, box[0], box[2], inner[1]);
  for (let top = 0; top < height; top += STRIP) {
    const count = Math.min(STRIP, height - top);
    narrow.set(mix(rows(top, count), count, channels, across), top * line);
  }
  const fitted = mix(narrow, 1, line, weights(height, box[1], box[3], inner[0]));
  if (inner[0] === size[0] && inner[1] === size[1]) return fitted;
  const padded = new Uint8Array(size[0] * size[1] * channels).fill(PAD_GREY);
  for (let row = 0; row < inner[0]; row++)
    padded.set(fitted.subarray(row * line, (row + 1) * line), row * size[1] * channels);
  return padded;
}

/**
 * Pillow's bilinear filter, which is a triangle as wide as two pixels of the coarser side.
 *
 * @param {number} length Pixels of the picture along one side.
 * @param {number} from Where the part that is taken starts.
 * @param {number} to Where it ends.
 * @param {number} count Pixels of the result.
 * @returns {{first: number, weights: number[]}[]} For each, where its pixels start, and their
 *     weights in fixed point.
 */
function weights(length, from, to, count) {
  const start = Math.fround(from); // Pillow keeps the box in single precision
  const scale = Math.fround(Math.fround(to) - start) / count;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, index) => {
    const centre = start + (index + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), length);
    const shares = [];
    for (let pixel = first; pixel < last; pixel++)
      shares.push(Math.max(1 - Math.abs((pixel - centre + 0.5) * (1 / reach)), 0));
    const sum = shares.reduce((total, share) => total + share, 0);
    const fixed = shares.map((share) => Math.trunc(0.5 + (share / sum) * 2 ** PRECISION));
    return { first, weights: fixed };
  });
}

/** From `(outer, length, inner)` to `(outer, targets.length, inner)`, both 8 bits. */
function mix(data, outer, inner, targets) {
  const length = data.length / (outer * inner);
  const mixed = new Uint8ClampedArray(outer * targets.length * inner);
  let at = 0;
  for (let block = 0; block < outer; block++)
    for (const { first, weights } of targets)
      for (let channel = 0; channel < inner; channel++) {
        let source = (block * length + first) * inner + channel;
        let sum = 1 << (PRECISION - 1); // so that the shift rounds to the nearest
        for (const weight of weights) {
          sum += weight * data[source];
          source += inner;
        }
        mixed[at++] = sum >> PRECISION;
      }
  return mixed;
}
