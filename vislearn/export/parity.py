"""Does an exported file say what the Keras model says?"""

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from vislearn.export.convert import Endpoint
from vislearn.export.package import FORMATS
from vislearn.export.runtimes import IMAGE, RUNTIMES, run_in_chunks
from vislearn.tasks.base import (
    PIXELS,
    TOLERANCE,
    Arrays,
    Comparison,
    Input,
    Signature,
    Task,
    differences,
)

# Examples that run together: so many, and fewer of large ones. Keras keeps all that a network
# computes on the way, and for 16 images of 456 pixels (EfficientNet-B5) that was 22 GB.
CHUNK = 16
CHUNK_VALUES = CHUNK * 224 * 224 * 3


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Float32 products in float32: on a GPU, TensorFlow would round their factors to 11 bits."""
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def chunk_size(inputs: Arrays) -> int:
    """How many of these examples run together."""
    values = sum(math.prod(value.shape[1:]) for value in inputs.values())
    return max(1, min(CHUNK, CHUNK_VALUES // values))


def keras_outputs(signature: Signature, inputs: Arrays) -> Arrays:
    """What the model answers when Keras calls it, operation by operation, without any export."""

    def answer(batch):
        tensors = {name: keras.ops.convert_to_tensor(value) for name, value in batch.items()}
        outputs = signature.function(tensors)
        return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}

    return run_in_chunks(answer, inputs, chunk_size(inputs))


def compare(task: Task, expected: Arrays, actual: Arrays) -> Comparison:
    """What the task says of named outputs, once their names, shapes and types are the same.

    Raises:
        ValueError: If the names, shapes or types differ.
    """
    facts = [
        {name: (value.shape, value.dtype.name) for name, value in outputs.items()}
        for outputs in (expected, actual)
    ]
    if facts[0] != facts[1]:
        raise ValueError(f"The outputs are {facts[1]} where Keras gives {facts[0]}.")
    return task.compare(expected, actual)


def first_differing_layer(signature: Signature, format: str, inputs: Arrays) -> str | None:
    """The first layer whose output in an exported format is not what Keras computes.

    Halves the list of layers again and again, each time exporting the model cut off at a layer.
    Only run when a check has failed: it costs about ten exports.

    Returns:
        The layer's name; None if the model is not a functional one of images, or no layer by
        itself differs.
    """
    model = signature.model
    if not isinstance(model, keras.Function) or {*inputs} != {IMAGE}:
        return None
    layers = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer | keras.Model) and _has_one_output(layer)
    ]
    good, bad = 0, len(layers)  # All layers before `good` agree; the one at `bad` differs.
    while good < bad:
        middle = (good + bad) // 2
        if _differs(keras.Model(model.inputs[0], layers[middle].output), format, inputs):
            bad = middle
        else:
            good = middle + 1
    return layers[bad].name if bad < len(layers) else None


def _has_one_output(layer: keras.Layer) -> bool:
    try:
        return isinstance(layer.output, keras.KerasTensor)
    except AttributeError:  # The layer is called several times and has no one output.
        return False


def _differs(model: keras.Model, format: str, inputs: Arrays) -> bool:
    def features(tensors):
        pixels = keras.ops.cast(tensors[IMAGE], "float32")
        return {"features": keras.ops.cast(model(pixels, training=False), "float32")}

    image = Input(IMAGE, tuple(model.input_shape[1:]), "uint8", PIXELS)
    signature = Signature("features", (image,), features, model, {})
    with tempfile.TemporaryDirectory() as directory:
        write_format(Endpoint(signature), Path(directory), format)
        runtime = RUNTIMES[format](Path(directory) / FORMATS[format])
        actual = run_in_chunks(runtime, inputs, chunk_size(inputs))["features"]
    expected = keras_outputs(signature, inputs)["features"]
    scale = max(1.0, float(np.abs(expected).max()))
    gap = differences({"features": expected}, {"features": actual})["features"]
    return gap > TOLERANCE * scale


def write_format(
    endpoint: Endpoint,
    directory: Path,
    format: str,
    calibration: Arrays | None = None,
    in_float: Sequence[str] = (),
) -> None:
    """Writes one format below `directory`; LiteRT is made from the SavedModel there.

    Args:
        calibration: example inputs, for `"litert_int8"`.
        in_float: layers that `"litert_int8"` leaves in float.
    """
    path, savedmodel = directory / FORMATS[format], directory / FORMATS["savedmodel"]
    if format != "onnx" and not savedmodel.is_dir():
        endpoint.write_savedmodel(savedmodel)
    if format == "onnx":
        endpoint.write_onnx(path)
    elif format == "litert":
        endpoint.write_litert(savedmodel, path)
    elif format == "litert_int8":
        endpoint.int8_writer(savedmodel, calibration).write(path, in_float)
    elif format != "savedmodel":
        endpoint.write_litert(savedmodel, path, kind=format.removeprefix("litert_"))
