"""What runs an exported file: one small class a format, all called alike.

A runtime is called with uint8 images `(batch, height, width, channels)` and returns the named
outputs as NumPy arrays. Only `SavedModel` imports TensorFlow.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vislearn.export.quiet import quiet

INPUT = "image"
SIGNATURE = "serving_default"
WARM_UP = 5


class LiteRT:
    """A `.tflite` file in the LiteRT interpreter; not to be called from two threads at once."""

    def __init__(self, path: Path, threads: int | None = None):
        with quiet():
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(str(path), num_threads=threads or default_threads())
            interpreter.allocate_tensors()  # Or the first call would, and say so on stderr.
            # The runner keeps the interpreter alive, and resizes it when the batch size changes.
            self._run = interpreter.get_signature_runner(SIGNATURE)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self._run(**{INPUT: images})


class Onnx:
    """A `.onnx` file in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path, threads: int | None = None):
        with quiet():
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads or default_threads()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self._names, self._session.run(self._names, {INPUT: images}), strict=True))


class SavedModel:
    """A SavedModel in TensorFlow, as TensorFlow Serving would run it."""

    def __init__(self, path: Path, threads: int | None = None):
        if threads is not None:
            raise ValueError(
                f"threads={threads!r}: TensorFlow sets its threads once for the whole process "
                "(tf.config.threading); leave threads=None for format='savedmodel'."
            )
        with quiet():
            import tensorflow as tf

            self._constant = tf.constant
            self._model = tf.saved_model.load(str(path))
            self._run = self._model.signatures[SIGNATURE]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = self._run(**{INPUT: self._constant(images)})
        return {name: output.numpy() for name, output in outputs.items()}


RUNTIMES = {"savedmodel": SavedModel, "litert": LiteRT, "litert_int8": LiteRT, "onnx": Onnx}


def default_threads() -> int:
    """One a core and at most four: more do not help a single small image."""
    return min(4, os.cpu_count() or 1)


def run_in_chunks(runtime, images: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """Outputs of a runtime for at least one image, `batch_size` images at a time."""
    chunks = [
        runtime(images[start : start + batch_size]) for start in range(0, len(images), batch_size)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def checked_images(
    argument: str, images, shape: tuple[int, int, int], *, allow_empty: bool = False
) -> np.ndarray:
    """The images as an array, if they are uint8 `(n, *shape)`.

    Raises:
        ValueError: If they are not; the message names `argument`.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(
            f"{argument} must be uint8 pixels 0..255, and has dtype {images.dtype.name}."
        )
    if images.ndim != 4 or images.shape[1:] != tuple(shape):
        height, width, channels = shape
        raise ValueError(
            f"{argument} must have the shape (n, {height}, {width}, {channels}), "
            f"and has {images.shape}."
        )
    if len(images) == 0 and not allow_empty:
        raise ValueError(f"{argument} is empty: it must hold at least one image.")
    return images


def checked_labels(argument: str, labels, count: int, classes: int) -> np.ndarray:
    """The labels as an array, if they are `(count,)` integers of at least 0 and below `classes`.

    Raises:
        ValueError: If they are not; the message names `argument`.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{argument} must be {count} integers, one an image, and are {labels.dtype.name} "
            f"of shape {labels.shape}."
        )
    if not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"{argument} must lie in 0..{classes - 1}, and lie in {labels.min()}..{labels.max()}."
        )
    return labels


def single_image_latency(call: Callable, input_shape: tuple[int, int, int], repeats: int) -> float:
    """Median milliseconds of `call` on one seeded random image, after a few calls to warm up."""
    if repeats < 1:
        raise ValueError(f"repeats={repeats!r} must be at least 1.")
    image = random_images(1, input_shape)
    for _ in range(WARM_UP):
        call(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call(image)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def random_images(count: int, input_shape: tuple[int, int, int]) -> np.ndarray:
    """The same random pixels at each call: uint8 `(count, *input_shape)`."""
    return np.random.default_rng(0).integers(0, 256, (count, *input_shape), dtype=np.uint8)


def litert_operators(path: str | Path) -> list[str]:
    """Names of the operations in a `.tflite` file, sorted, each once.

    A built-in operation has its plain name, such as `"CONV_2D"`; one that the runtime does not
    have built in, such as a TensorFlow operation, has the prefix `"CUSTOM:"`.
    """
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    model = schema.Model.GetRootAsModel(Path(path).read_bytes(), 0)
    operators = set()
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        # Codes above 127 stand in the newer field; the older one then holds 127.
        name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        operators.add(f"CUSTOM:{code.CustomCode().decode()}" if name == "CUSTOM" else name)
    return sorted(operators)
