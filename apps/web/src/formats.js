/** The formats that the page runs, and their files. */
export const FORMATS = {
  litert: "model.tflite",
  litert_float16: "model_float16.tflite",
  litert_dynamic: "model_dynamic.tflite",
  litert_int8: "model_int8.tflite",
};

/**
 * Where a package lies in the built page.
 *
 * Servers differ in how they decode `#` and the like in an address, so no name there has any.
 */
export function pathOf(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}
