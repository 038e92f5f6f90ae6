// A black square to write a digit on, in white, as the digits of the data sets are.

/**
 * @param {HTMLCanvasElement} canvas
 * @param {function()} changed Called after each stroke, and while one is drawn.
 */
export class Pad {
  #canvas;
  #context;

  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this.#context, { strokeStyle: "white", lineCap: "round", lineJoin: "round" });
    this.#context.lineWidth = canvas.width / 10;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#context.beginPath();
      this.#stroke(event);
      changed();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.#stroke(event);
      changed();
    });
  }

  #stroke({ offsetX, offsetY }) {
    const scale = this.#canvas.width / this.#canvas.clientWidth;
    this.#context.lineTo(offsetX * scale, offsetY * scale);
    this.#context.stroke();
  }

  clear() {
    this.#context.fillStyle = "black";
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * The digit in the middle of a square, as large as those of the data sets.
   *
   * MNIST leaves 4 of 28 pixels free at each edge; digits of 8 pixels fill the picture.
   *
   * @param {number} side Pixels of a side of the network's input.
   * @returns {ImageData|undefined} Undefined while nothing is drawn.
   */
  picture(side) {
    const { width, height } = this.#canvas;
    const { data } = this.#context.getImageData(0, 0, width, height);
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        if (data[4 * (y * width + x)] > 127) {
          [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
          [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
        }
    if (right === 0) return undefined;
    const free = side < 16 ? 0 : 4 / 28;
    const size = Math.ceil(Math.max(right - left, bottom - top) / (1 - 2 * free));
    const start = (from, to) => Math.round((from + to - size) / 2);
    const square = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true });
    square.fillRect(0, 0, size, size); // may reach beyond the pad, and is black
    square.drawImage(this.#canvas, -start(left, right), -start(top, bottom));
    return square.getImageData(0, 0, size, size);
  }
}
