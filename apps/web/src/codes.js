// What goes into a network that makes pictures: codes with sliders, noise, and classes.

const SLIDERS = 16; // a longer code has sliders for its first numbers
const RANGE = 3; // standard deviations

/**
 * Fills a panel with the controls of a generator.
 *
 * @param {HTMLElement} panel
 * @param {object} manifest
 * @param {function()} changed Called after each change.
 * @returns {function(): Object<string, TypedArray>} Gives the inputs that are set.
 */
export function codeControls(panel, manifest, changed) {
  panel.replaceChildren();
  const controls = manifest.inputs.map((input) => [input.name, control(panel, input, manifest)]);
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Draw again";
  again.addEventListener("click", () => {
    for (const [, { draw }] of controls) draw();
    changed();
  });
  panel.append(again);
  panel.oninput = changed;
  return () => Object.fromEntries(controls.map(([name, { value }]) => [name, value()]));
}

function control(panel, input, manifest) {
  const shape = input.shape.slice(1);
  const size = shape.reduce((product, side) => product * side, 1);
  if (input.name === "label") return choice(panel, input, manifest.classes);
  if (input.dtype !== "float32")
    throw new Error(`The page can't set the input ${input.name} (${input.dtype}).`);
  const values = new Float32Array(size);
  const sliders = shape.length === 1 ? makeSliders(panel, input, values) : [];
  const draw = () => {
    values.forEach((_, i) => (values[i] = sliders[i] ? round(normal()) : normal()));
    sliders.forEach((slider, i) => slider.show(values[i]));
  };
  draw();
  return { draw, value: () => values };
}

function makeSliders(panel, input, values) {
  return Array.from({ length: Math.min(values.length, SLIDERS) }, (_, i) => {
    const label = document.createElement("label");
    label.className = "slider";
    const name = document.createElement("span");
    name.textContent = `${input.name} ${i + 1}`;
    const range = document.createElement("input");
    Object.assign(range, { type: "range", min: -RANGE, max: RANGE, step: 0.01 });
    const shown = document.createElement("output");
    const show = (value) => {
      range.value = value;
      shown.textContent = value.toFixed(2);
    };
    range.addEventListener("input", () => {
      values[i] = range.valueAsNumber;
      shown.textContent = values[i].toFixed(2);
    });
    label.append(name, range, shown);
    panel.append(label);
    return { show };
  });
}

/** A class, or any: that has the number after the last. */
function choice(panel, input, classes) {
  const label = document.createElement("label");
  label.textContent = `${input.name} `;
  const select = document.createElement("select");
  [...classes, "any"].forEach((name, number) => select.add(new Option(name, number)));
  label.append(select);
  panel.append(label);
  return { draw() {}, value: () => Int32Array.of(Number(select.value)) };
}

/** A standard normal number (Box and Muller 1958), within the range of the sliders. */
function normal() {
  for (;;) {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    const value = radius * Math.cos(2 * Math.PI * Math.random());
    if (Math.abs(value) <= RANGE) return value;
  }
}

function round(value) {
  return Math.round(100 * value) / 100;
}
