"""What runs an exported file: one small class a format, all called alike.

A runtime is called with a dictionary of arrays, for most models `image`, uint8
`(batch, height, width, channels)`, and returns the named outputs as NumPy arrays. Only `SavedModel`
imports TensorFlow. `needs` is the module that each imports.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vislearn.cores import usable_cores
from vislearn.export.quiet import quiet
from vislearn.tasks.base import Arrays

IMAGE = "image"  # the name of an input of pixels
SIGNATURE = "serving_default"
WARM_UP = 5


class LiteRT:
    """A `.tflite` file in the LiteRT interpreter; not to be called from two threads at once."""

    needs = "ai_edge_litert.interpreter"

    def __init__(self, path: Path, threads: int | None = None):
        with quiet():
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(str(path), num_threads=threads or default_threads())
            interpreter.allocate_tensors()  # Or the first call would, and say so on stderr.
            # The runner keeps the interpreter alive, and resizes it when the batch size changes.
            self._run = interpreter.get_signature_runner(SIGNATURE)

    def __call__(self, inputs: Arrays) -> Arrays:
        return self._run(**inputs)


class Onnx:
    """A `.onnx` file in ONNX Runtime, on the CPU."""

    needs = "onnxruntime"

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

    def __call__(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))


class SavedModel:
    """A SavedModel in TensorFlow, as TensorFlow Serving would run it."""

    needs = "tensorflow"

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

    def __call__(self, inputs: Arrays) -> Arrays:
        outputs = self._run(**{name: self._constant(value) for name, value in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}


RUNTIMES = {
    "savedmodel": SavedModel,
    "litert": LiteRT,
    "litert_float16": LiteRT,
    "litert_dynamic": LiteRT,
    "litert_int8": LiteRT,
    "onnx": Onnx,
}


class FixedBatch:
    """A runtime whose file takes exactly `size` examples a call, called with any number of them."""

    def __init__(self, runtime: Callable, size: int):
        self._runtime, self._size = runtime, size

    def __call__(self, inputs: Arrays) -> Arrays:
        count = len(next(iter(inputs.values())))
        whole = filled(inputs, -(-count // self._size) * self._size)
        outputs = run_in_chunks(self._runtime, whole, self._size)
        return {name: value[:count] for name, value in outputs.items()}


def open_runtime(path: Path, format: str, threads: int | None = None, batch: int | None = None):
    """What runs a file, called with a dictionary of arrays of any number of examples.

    Args:
        path: The file, or the folder of a SavedModel.
        format: Its format.
        threads: Threads to compute with; None for one a core, at most four.
        batch: Examples a call, if it is a file of fixed batch.
    """
    runtime = RUNTIMES[format](path, threads)
    return runtime if batch is None else FixedBatch(runtime, batch)


def default_threads() -> int:
    """One a core and at most four: more do not help a single small image."""
    return min(4, usable_cores())


def run_in_chunks(runtime: Callable, inputs: Arrays, batch_size: int) -> Arrays:
    """Outputs of a runtime for at least one example, `batch_size` examples at a time."""
    count = len(next(iter(inputs.values())))
    chunks = [
        runtime({name: value[start : start + batch_size] for name, value in inputs.items()})
        for start in range(0, count, batch_size)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def filled(inputs: Arrays, size: int) -> Arrays:
    """So many examples: the first of them, or all and then the first ones again."""
    return {name: value[np.arange(size) % len(value)] for name, value in inputs.items()}


def checked_inputs(
    inputs, expected: Sequence[dict], *, argument: str | None = None, allow_empty: bool = False
) -> Arrays:
    """The inputs as a dictionary of arrays, if they are what the manifest's `inputs` say.

    Args:
        inputs: A dictionary of arrays by name; where there is one input, the array will do.
        expected: Name, shape (with the batch axis) and dtype of each.
        argument: What to call the input in messages; None for its own name.
        allow_empty: Whether there may be no example.

    Raises:
        ValueError: If they are not; the message names the input.
    """
    names = [item["name"] for item in expected]
    if not isinstance(inputs, dict):
        if len(names) > 1:
            raise ValueError(f"inputs must be a dictionary of arrays with the names {names}.")
        inputs = {names[0]: inputs}
    if {*inputs} != {*names}:
        raise ValueError(f"inputs has the names {[*inputs]}, and must have {names}.")
    found = {}
    for item in expected:
        name, value = argument or item["name"], np.asarray(inputs[item["name"]])
        if value.dtype.name != item["dtype"]:
            pixels = " pixels 0..255" if item["dtype"] == "uint8" else ""
            raise ValueError(
                f"{name} must be {item['dtype']}{pixels}, and has dtype {value.dtype.name}."
            )
        if value.ndim != len(item["shape"]) or value.shape[1:] != tuple(item["shape"][1:]):
            wanted = ", ".join(["n", *map(str, item["shape"][1:])])
            raise ValueError(f"{name} must have the shape ({wanted}), and has {value.shape}.")
        if len(value) == 0 and not allow_empty:
            raise ValueError(f"{name} is empty: it must hold at least one example.")
        found[item["name"]] = value
    if len({len(value) for value in found.values()}) > 1:
        raise ValueError(f"inputs differ in length: { {n: len(v) for n, v in found.items()} }.")
    return found


def single_latency(call: Callable, example: Arrays, repeats: int) -> float:
    """Median milliseconds of `call` on one example, after a few calls to warm up."""
    if repeats < 1:
        raise ValueError(f"repeats={repeats!r} must be at least 1.")
    for _ in range(WARM_UP):
        call(example)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call(example)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def random_example(inputs: Sequence[dict]) -> Arrays:
    """One example of the inputs of a manifest: random pixels or normal numbers, seeded."""
    rng = np.random.default_rng(0)
    found = {}
    for item in inputs:
        shape = (1, *item["shape"][1:])
        if item["dtype"] == "float32":
            found[item["name"]] = rng.normal(size=shape).astype(np.float32)
        else:
            high = 256 if item["dtype"] == "uint8" else 1
            found[item["name"]] = rng.integers(0, high, shape).astype(item["dtype"])
    return found
