// Shows what a network answers: on the picture, and in words and numbers beside it.

import { canvasOf } from "./picture.js";

// As in vislearn.pictures: told apart with every kind of colour blindness, and dark below white.
const COLOURS = ["#0072B2", "#D55E00", "#007A5A", "#A3487B", "#8A6100", "#2E6F95", "#5F6672"];
const PAINT = 210; // of 255: the picture shows through, and the colour is still that of the class
const TOP = 5;
const NUMBERS = 20;

/**
 * Shows the answers of a package.
 *
 * @param {HTMLElement} panel Where words and numbers go.
 * @param {HTMLCanvasElement} view What the network gets, drawn large, if it gets a picture.
 * @param {object} manifest
 * @param {Object<string, TypedArray>} answers
 * @param {number} threshold Least score of the boxes that are shown.
 */
export function showAnswers(panel, view, manifest, answers, threshold) {
  const { task, classes, shows } = manifest;
  if (shows) panel.replaceChildren(madePicture(shapeOf(manifest, shows), answers[shows]));
  else if (task === "classification") panel.replaceChildren(topClasses(classes, answers.scores));
  else if (task === "detection") panel.replaceChildren(boxes(view, manifest, answers, threshold));
  else if (task === "semantic_segmentation")
    panel.replaceChildren(mask(view, manifest, answers.mask));
  else panel.replaceChildren(...Object.entries(answers).map((entry) => numbers(classes, ...entry)));
}

function shapeOf(manifest, name) {
  return manifest.outputs.find((output) => output.name === name).shape.slice(1);
}

function topClasses(classes, scores) {
  const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, TOP);
  return bars(best.map((number) => ({ name: classes[number], share: scores[number] })));
}

/** Pixels of the view for one of the network. */
function zoomOf(view, { inputs: [{ shape }] }) {
  return Math.max(view.width, view.height) / Math.max(shape[1], shape[2]);
}

function boxes(view, manifest, { boxes, scores, classes, count }, threshold) {
  const zoom = zoomOf(view, manifest);
  const names = manifest.classes;
  const shown = [...scores.subarray(0, count[0]).keys()].filter((i) => scores[i] >= threshold);
  const context = view.getContext("2d");
  context.lineWidth = 4;
  context.font = "bold 20px system-ui, sans-serif";
  context.textBaseline = "top";
  // The surest last, so that it lies on top.
  for (const i of shown.toReversed()) {
    const [left, top, right, bottom] = boxes.subarray(4 * i, 4 * i + 4).map((side) => side * zoom);
    const text = `${names[classes[i]]} ${percent(scores[i])}`;
    const labelTop = top >= 28 ? top - 28 : top;
    context.strokeStyle = context.fillStyle = colour(classes[i]);
    context.strokeRect(left, top, right - left, bottom - top);
    context.fillRect(left - 2, labelTop, context.measureText(text).width + 14, 28);
    context.fillStyle = "white";
    context.fillText(text, left + 5, labelTop + 5);
  }
  if (!shown.length) return words(`Nothing of score ${threshold.toFixed(2)} or more.`);
  return bars(
    shown.map((i) => ({
      name: names[classes[i]],
      share: scores[i],
      colour: colour(classes[i]),
    })),
  );
}

function mask(view, manifest, numbers) {
  const zoom = zoomOf(view, manifest);
  const { classes } = manifest;
  const [height, width] = shapeOf(manifest, "mask");
  const [ownHeight, ownWidth] = manifest.inputs[0].shape.slice(1);
  const context = view.getContext("2d");
  const paints = classes.map((name, number) => {
    if (name === "background") return [0, 0, 0, 0];
    context.fillStyle = colour(number);
    const rgb = Number.parseInt(context.fillStyle.slice(1), 16); // it reads as #rrggbb
    return [rgb >> 16, (rgb >> 8) & 255, rgb & 255, PAINT];
  });
  const counts = new Array(classes.length).fill(0);
  const paint = new ImageData(width, height);
  numbers.forEach((number, pixel) => {
    counts[number]++;
    paint.data.set(paints[number], 4 * pixel);
  });
  const layer = document.createElement("canvas");
  Object.assign(layer, { width, height });
  layer.getContext("2d").putImageData(paint, 0, 0);
  context.imageSmoothingEnabled = false;
  // A network that answers for the centre of the picture has a smaller mask.
  const left = Math.floor((ownWidth - width) / 2) * zoom;
  const top = Math.floor((ownHeight - height) / 2) * zoom;
  context.drawImage(layer, left, top, width * zoom, height * zoom);
  return bars(
    [...counts.keys()]
      .filter((number) => counts[number])
      .sort((a, b) => counts[b] - counts[a])
      .map((number) => ({
        name: classes[number],
        share: counts[number] / numbers.length,
        colour: classes[number] === "background" ? "transparent" : colour(number),
      })),
  );
}

function madePicture(shape, pixels) {
  const canvas = canvasOf(pixels, shape);
  canvas.className = "made";
  canvas.role = "img";
  canvas.ariaLabel = "The picture that the network makes";
  return canvas;
}

/** Numbers that the page has no picture of, with the names of the classes if there are as many. */
function numbers(classes, name, values) {
  const list = document.createElement("dl");
  const named = values.length === classes.length;
  values.slice(0, NUMBERS).forEach((value, i) => {
    const [term, number] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = named ? classes[i] : `${name} ${i + 1}`;
    number.textContent = Number(value.toPrecision(4));
    list.append(term, number);
  });
  if (values.length > NUMBERS) list.append(words(`and ${values.length - NUMBERS} more`));
  return list;
}

/** A list of names with their shares of one, and of colours where things are drawn. */
function bars(rows) {
  const list = document.createElement("ol");
  list.className = "bars";
  for (const { name, share, colour } of rows) {
    const parts = ["li", "span", "i", "span"].map((tag) => document.createElement(tag));
    const [row, label, bar, value] = parts;
    label.textContent = name;
    bar.style.width = `${100 * share}%`;
    if (colour) bar.style.background = label.style.borderColor = colour;
    value.textContent = percent(share);
    row.append(label, bar, value);
    list.append(row);
  }
  return list;
}

function words(text) {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  return paragraph;
}

function colour(number) {
  // The golden ratio spreads any number of hues evenly.
  return COLOURS[number] ?? `hsl(${Math.round(number * 0.618 * 360) % 360} 80% 38%)`;
}

/** A share as a percentage, which is 0 or 100 only where it is exactly that. */
function percent(share) {
  if (share > 0 && share <= 0.005) return "<1%";
  if (share >= 0.995 && share < 1) return ">99%";
  return `${Math.round(100 * share)}%`;
}
