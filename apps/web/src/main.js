// The page: packages on one side, pictures and codes on the other, answers between them.

import { showAnswers } from "./answers.js";
import { startCamera } from "./camera.js";
import { codeControls } from "./codes.js";
import { FORMATS, pathOf } from "./formats.js";
import { openPackage } from "./model.js";
import { Pad } from "./pad.js";
import { canvasOf } from "./picture.js";

const TIMES = 20; // runs whose median is shown, less the first of them

const parts = [...document.querySelectorAll("[id]")];
const page = Object.fromEntries(parts.map((part) => [part.id, part]));
const pad = new Pad(page.pad, () => answerDrawing());
let model; // the package that is open
let source; // its folder, if it lies beside the page, and what gives the content of its files
let opening; // the newest attempt to open one
let codes; // gives the inputs that are set, for a package that takes no pictures
let round; // what is asked before one ends is not shown after it
let shown; // what was asked and answered last
let times = [];
let camera = new AbortController();

// Packages.

async function start() {
  const response = await fetch("packages/index.json");
  const folders = response.ok ? await response.json() : [];
  for (const folder of folders) page.package.add(new Option(folder));
  const hash = location.hash.slice(1);
  const wanted = folders.find((folder) => hash === folder || hash === encodeURIComponent(folder));
  if (wanted) page.package.value = wanted;
  if (folders.length) return usePackage();
  page.about.textContent = "";
  say("There are no packages here: open the folder of one, or drop it on this page.");
}

/** Opens the package that is chosen in the list. */
function usePackage() {
  const folder = page.package.value;
  const read = async (name) => {
    const response = await fetch(`packages/${encodeURI(pathOf(folder))}/${name}`);
    if (!response.ok) throw new Error(`${folder}/${name}: ${response.statusText}`);
    return response.arrayBuffer();
  };
  return use({ folder, read });
}

/** Opens a package from files that were chosen or dropped. */
function useFiles(files) {
  const byName = Object.fromEntries(files.map((file) => [file.name, file]));
  const read = async (name) => {
    if (!byName[name]) throw new Error(`This is no exported package: there is no ${name}.`);
    return byName[name].arrayBuffer();
  };
  return use({ read });
}

async function use(from, format = "litert") {
  const own = (opening = {});
  let opened;
  try {
    opened = await openPackage(from.read, format);
  } catch (error) {
    if (own !== opening) return; // another was chosen meanwhile
    showChosen();
    throw error;
  }
  if (own !== opening) return opened.delete();
  model?.delete(); // without waiting for what it does
  [model, source, shown, times] = [opened, from, undefined, []];
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
  page.format.hidden = formats.length < 2;
  page.main.hidden = false;
  showChosen();
  history.replaceState(null, "", `#${encodeURIComponent(source.folder ?? "")}`);
}

/** Has the lists say what is open, whatever was chosen in them. */
function showChosen() {
  page.package.value = source?.folder ?? "";
  page.format.value = model?.format ?? "";
  if (!model) page.about.textContent = "No package is open.";
}

// What goes in.

/** Clears what belongs to the package before, and shows the inputs that this one takes. */
function reset() {
  round = {};
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
  camera.abort();
  for (const panel of document.querySelectorAll(".panel")) panel.hidden = panel.id !== mode;
  for (const button of page.modes.querySelectorAll("input")) button.checked = button.value === mode;
  page.view.hidden = mode === "draw" || !shown?.view;
  // Nobody can listen to as many answers as the camera gets.
  page.found.ariaLive = mode === "camera" ? "off" : "polite";
  if (mode === "draw") await answerDrawing();
  if (mode === "camera") await answerCamera();
}

async function answerCamera() {
  camera = new AbortController();
  try {
    await startCamera(page.video, camera.signal, async (video) =>
      answer({ picture: await createImageBitmap(video) }),
    );
  } catch (error) {
    await choose("picture");
    throw error;
  }
}

async function answerFile(file) {
  if (!model) throw new Error("Open a package first.");
  if (!model.pictureShape) throw new Error("This package takes no pictures.");
  await choose("picture");
  await answer({ picture: file });
}

function answerDrawing() {
  const picture = pad.picture(model.pictureShape[0]);
  if (picture) return answer({ picture });
}

function answerCodes() {
  return answer({ inputs: codes() });
}

// Answers.

let running = Promise.resolve();
let waiting; // what is asked while another question is answered; only the newest counts

/** Has the network answer for a `picture`, or for `inputs`, and shows what it answers. */
function answer(asked) {
  const idle = !waiting;
  waiting = { ...asked, model, round };
  if (idle) running = running.catch(() => {}).then(run);
  return running;
}

async function run() {
  const { picture, model, round: own, ...asked } = waiting;
  waiting = undefined;
  try {
    const { pixels, view } = picture ? await model.prepare(picture) : {};
    const inputs = asked.inputs ?? { image: pixels };
    const { answers, milliseconds } = await model.run(inputs);
    if (own !== round) return;
    times = [...times, milliseconds].slice(-TIMES);
    shown?.view?.close();
    shown = { inputs, view, answers };
    show();
  } catch (error) {
    if (own === round) throw error; // else another package was opened, which ended this one
  }
}

function show() {
  const { inputs, view, answers } = shown;
  page.view.hidden = !view || !page.draw.hidden;
  if (view) {
    Object.assign(page.view, { width: view.width, height: view.height });
    page.view.getContext("2d").drawImage(view, 0, 0);
    showSeen(inputs.image);
  }
  showAnswers(page.found, page.view, model.manifest, answers, page.threshold.valueAsNumber);
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

/** The files that were chosen; cleared, so that the same ones can be chosen again. */
function taken(input) {
  const files = [...input.files];
  input.value = "";
  return files;
}

on(page.package, "change", usePackage);
on(page.format, "change", () => use(source, page.format.value));
on(page.open, "click", () => page.folder.click());
on(page.folder, "change", () => {
  // A package may hold others, below it.
  const own = taken(page.folder).filter((file) => file.webkitRelativePath.split("/").length === 2);
  return useFiles(own);
});
on(page.modes, "change", (event) => choose(event.target.value));
on(page.clear, "click", () => {
  pad.clear();
  shown = undefined;
  return reset();
});
on(page.file, "change", () => answerFile(taken(page.file)[0]));
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
