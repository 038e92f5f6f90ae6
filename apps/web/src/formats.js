/** The formats that the page runs, and their files. */
export const FORMATS = {
  litert: "model.tflite",
  litert_float16: "model_float16.tflite",
  litert_dynamic: "model_dynamic.tflite",
  litert_int8: "model_int8.tflite",
};
