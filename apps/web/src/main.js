// The page: packages on one side, pictures and codes on the other, answers between them.

import { drawPicture, showAnswers } from "./answers.js";
import { startCamera } from "./camera.js";
import { codeControls } from "./codes.js";
import { FORMATS } from "./formats.js";
import { openPackage } from "./model.js";
import { Pad } from "./pad.js";
import { canvasOf, copy, decode, prepare } from "./picture.js";

const TIMES = 20; // runs whose median is shown, less the first of them

const parts = [...document.querySelectorAll("[id]")];
const page = Object.fromEntries(parts.map((part) => [part.id, part]));
const pad = new Pad(page.pad, () => answerDrawing());
let model; // the package that is open
let read; // gives the content of its files
let codes; // gives the inputs that are set, for a package that takes no pictures
let shown; // what was asked and answered last
let times = [];
let stopCamera = () => {};

// Packages.

async function start() {
  const response = await fetch("packages/index.json");
  const folders = response.ok ? await response.json() : [];
  for (const folder of folders) page.package.add(new Option(folder));
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (folders.includes(wanted)) page.package.value = wanted;
  if (folders.length) await usePackage();
  else say("There are no packages here: open the folder of one, or drop it on this page.");
}

/** Opens the package that is chosen in the list. */
function usePackage() {
  const folder = page.package.value;
  history.replaceState(null, "", `#${encodeURIComponent(folder)}`);
  return use(async (name) => {
    const response = await fetch(`packages/${folder}/${name}`);
    if (!response.ok) throw new Error(`packages/${folder}/${name}: ${response.statusText}`);
    return response.arrayBuffer();
  });
}

/** Opens a package from files that were chosen or dropped. */
async function useFiles(files) {
  const byName = Object.fromEntries([...files].map((file) => [file.name, file]));
  await use(async (name) => {
    if (!byName[name]) throw new Error(`This is no exported package: there is no ${name}.`);
    return byName[name].arrayBuffer();
  });
  page.package.selectedIndex = -1;
}

async function use(reader, format = "litert") {
  stopCamera();
  read = reader;
  const opened = await openPackage(reader, format);
  if (read !== reader) return opened.delete(); // another was chosen meanwhile
  await inTurn(() => {
    model?.delete();
    [model, shown, times] = [opened, undefined, []];
  });
  describe();
  await reset();
  if (!model.pictureShape) {
    codes = codeControls(page.codes, model.manifest, answerCodes);
    await answerCodes();
  }
}

function describe() {
  const { name, task, classes, files, inputs } = model.manifest;
  const size = files[FORMATS[model.format]].size;
  const takes = inputs.map((input) => `${input.name} ${input.shape.slice(1).join(" × ")}`);
  const words = [task.replaceAll("_", " "), takes.join(", ")];
  if (classes.length) words.push(`${classes.length} classes`);
  page.about.textContent = `${name}: ${words.join(" · ")} · ${(size / 1e6).toFixed(2)} MB`;
  const formats = Object.keys(FORMATS).filter((format) => files[FORMATS[format]]);
  const options = formats.map((format) => new Option(format.replace("_", " "), format));
  page.format.replaceChildren(...options);
  page.format.value = model.format;
  page.format.hidden = formats.length < 2;
}

// What goes in.

/** Clears what belongs to the package before, and shows the inputs that this one takes. */
function reset() {
  const takes = model.pictureShape;
  page.modes.hidden = !takes;
  page.found.replaceChildren();
  for (const part of [page.view, page.seen, page.save]) part.hidden = true;
  page.least.hidden = model.manifest.task !== "detection";
  page.time.textContent = "";
  const drawing = page.modes.querySelector("[value=draw]");
  drawing.parentElement.hidden = takes?.[2] !== 1;
  const forPictures = drawing.parentElement.hidden ? "picture" : "draw";
  return choose(takes ? forPictures : "codes");
}

/** Shows one of the panels, `draw`, `picture`, `camera` or `codes`. */
async function choose(mode) {
  stopCamera();
  for (const panel of document.querySelectorAll(".panel")) panel.hidden = panel.id !== mode;
  for (const button of page.modes.querySelectorAll("input")) button.checked = button.value === mode;
  page.view.hidden = mode === "draw" || !shown?.picture;
  if (mode === "draw") await answerDrawing();
  if (mode === "camera") {
    const stop = await startCamera(page.video, (video) =>
      answerPicture(copy(video, video.videoWidth, video.videoHeight)),
    );
    if (page.camera.hidden) return stop(); // something else was chosen meanwhile
    stopCamera = stop;
  }
}

async function answerFile(file) {
  const picture = await decode(file);
  if (!model?.pictureShape) throw new Error("This package takes no pictures.");
  await choose("picture");
  await answerPicture(picture);
}

function answerDrawing() {
  const picture = pad.picture(model.pictureShape[0]);
  if (picture) return answerPicture(picture);
}

function answerPicture(picture) {
  const input = model.manifest.inputs[0];
  const { pixels, fit } = prepare(picture, model.pictureShape, input.resize);
  return answer({ inputs: { image: pixels }, picture, fit });
}

function answerCodes() {
  return answer({ inputs: codes() });
}

// Answers.

let running = Promise.resolve();
let waiting; // what is asked while another question is answered; only the newest counts

/** Calls `next` when everything before is done, or has failed. */
function inTurn(next) {
  running = running.catch(() => {}).then(next);
  return running;
}

/** Runs the network on what is asked, and shows what it answers. */
function answer(asked) {
  const idle = !waiting;
  waiting = { ...asked, model };
  return idle ? inTurn(run) : running;
}

async function run() {
  const asked = waiting;
  waiting = undefined;
  if (asked.model !== model) return; // another package was opened meanwhile
  const { answers, milliseconds } = await model.run(asked.inputs);
  times = [...times, milliseconds].slice(-TIMES);
  shown = { ...asked, answers };
  show();
}

function show() {
  const { picture, fit, inputs, answers } = shown;
  let view;
  page.view.hidden = !picture || !page.draw.hidden;
  if (picture) {
    view = { canvas: page.view, zoom: drawPicture(page.view, picture, fit) };
    showSeen(inputs.image);
  }
  showAnswers(page.found, view, model.manifest, answers, page.threshold.valueAsNumber);
  page.view.ariaLabel = `The picture with its answer: ${page.found.textContent}`;
  page.time.textContent = latency();
  page.save.hidden = false;
}

function latency() {
  const [first, ...others] = times;
  const middle = others.toSorted((a, b) => a - b)[others.length >> 1] ?? first;
  const milliseconds = `${middle.toFixed(middle < 10 ? 1 : 0)} ms`;
  return others.length ? `${milliseconds} an answer` : `${milliseconds} for the first answer`;
}

/** What the network gets, where a person could not tell it from what was given. */
function showSeen(pixels) {
  const [height, width, channels] = model.pictureShape;
  const canvas = page.seen.querySelector("canvas");
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(canvasOf(pixels, [height, width, channels]), 0, 0);
  const caption = page.seen.querySelector("figcaption");
  caption.textContent = `What the network gets: ${height} × ${width}`;
  page.seen.hidden = false;
}

/** Offers the answers as a file: every output by its name, in the order of its shape. */
function save() {
  const answers = Object.entries(shown.answers).map(([name, values]) => [name, [...values]]);
  const { name } = model.manifest;
  const content = { package: name, format: model.format, answers: Object.fromEntries(answers) };
  const blob = new Blob([JSON.stringify(content)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// What the user does.

function say(problem) {
  page.problem.textContent = problem;
  page.problem.hidden = !problem;
}

/** Calls `handle` on an event, and takes away what was said of the one before. */
function on(target, event, handle) {
  target.addEventListener(event, async (given) => {
    say("");
    await handle(given);
  });
}

/** The files that were dropped: those of a folder, where it was one. */
async function droppedFiles(transfer) {
  const entry = transfer.items[0]?.webkitGetAsEntry();
  if (!entry?.isDirectory) return transfer.files;
  const reader = entry.createReader();
  const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
  const files = entries.filter((inside) => inside.isFile);
  return Promise.all(files.map((file) => new Promise((done, failed) => file.file(done, failed))));
}

on(page.package, "change", usePackage);
on(page.format, "change", () => use(read, page.format.value));
on(page.open, "click", () => page.folder.click());
on(page.folder, "change", () => useFiles(page.folder.files));
on(page.modes, "change", (event) => choose(event.target.value));
on(page.clear, "click", () => {
  pad.clear();
  shown = undefined;
  return reset();
});
on(page.file, "change", () => page.file.files.length && answerFile(page.file.files[0]));
on(page.stop, "click", () => choose("picture"));
on(page.threshold, "input", () => {
  page.threshold.nextElementSibling.textContent = page.threshold.valueAsNumber.toFixed(2);
  if (shown) show();
});
on(page.save, "click", save);
on(document, "dragover", (event) => event.preventDefault());
on(document, "drop", async (event) => {
  event.preventDefault();
  const files = [...(await droppedFiles(event.dataTransfer))];
  if (files.some((file) => file.name === "model.json")) await useFiles(files);
  else if (files.length) await answerFile(files[0]);
});
on(document, "paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) return answerFile(file);
});
window.addEventListener("unhandledrejection", (event) => say(event.reason.message));
start();
