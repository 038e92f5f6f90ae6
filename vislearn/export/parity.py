"""Does an exported file say what the Keras model says?"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from vislearn.export.convert import Endpoint
from vislearn.export.package import FORMATS
from vislearn.export.runtimes import RUNTIMES, run_in_chunks

# Largest absolute difference allowed to an output of a float format.
TOLERANCE = 1e-4
CHUNK = 16


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Outputs of a file beside those of Keras.

    Attributes:
        max_difference: Largest absolute difference of each float output.
        class_agreement: Share of images with the same class.
        unexplained: Number of images whose class differs although no two scores tie.
    """

    max_difference: dict[str, float]
    class_agreement: float
    unexplained: int


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


def keras_outputs(model: keras.Model, task: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """What the model answers when Keras calls it, operation by operation, without any export."""

    def answer(batch):
        outputs = task.decode(model(batch.astype("float32"), training=False))
        return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}

    return run_in_chunks(answer, images, CHUNK)


def compare(expected: dict[str, np.ndarray], actual: dict[str, np.ndarray]) -> Comparison:
    """Compares named outputs; a class may differ where Keras's scores tie within the tolerance.

    Raises:
        ValueError: If the names, shapes or types differ.
    """
    facts = [
        {name: (value.shape, value.dtype.name) for name, value in outputs.items()}
        for outputs in (expected, actual)
    ]
    if facts[0] != facts[1]:
        raise ValueError(f"The outputs are {facts[1]} where Keras gives {facts[0]}.")
    max_difference = {
        name: _largest_difference(value, actual[name])
        for name, value in expected.items()
        if np.issubdtype(value.dtype, np.floating)
    }
    scores, class_id = expected["scores"], actual["class_id"]
    differs = class_id != expected["class_id"]
    known = (class_id >= 0) & (class_id < scores.shape[-1])
    chosen = scores[np.arange(len(scores)), np.where(known, class_id, 0)]
    tied = known & (scores.max(axis=-1) - chosen <= TOLERANCE)
    return Comparison(
        max_difference, float(np.mean(~differs)), int(np.count_nonzero(differs & ~tied))
    )


def _largest_difference(expected: np.ndarray, actual: np.ndarray) -> float:
    difference = np.abs(expected.astype(np.float64) - actual)
    # NaN compares false with every bound; nothing may pass by being undefined.
    return float(np.where(np.isnan(difference), np.inf, difference).max())


def first_differing_layer(model: keras.Model, format: str, images: np.ndarray) -> str | None:
    """The first layer whose output in an exported format is not what Keras computes.

    Halves the list of layers again and again, each time exporting the model cut off at a layer.
    Only run when a check has failed: it costs about ten exports.

    Returns:
        The layer's name; None if the model is not functional, or no layer by itself differs.
    """
    if not isinstance(model, keras.Function):
        return None
    layers = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer | keras.Model) and _has_one_output(layer)
    ]
    good, bad = 0, len(layers)  # All layers before `good` agree; the one at `bad` differs.
    while good < bad:
        middle = (good + bad) // 2
        if _differs(keras.Model(model.inputs[0], layers[middle].output), format, images):
            bad = middle
        else:
            good = middle + 1
    return layers[bad].name if bad < len(layers) else None


def _has_one_output(layer: keras.Layer) -> bool:
    try:
        return isinstance(layer.output, keras.KerasTensor)
    except AttributeError:  # The layer is called several times and has no one output.
        return False


def _differs(model: keras.Model, format: str, images: np.ndarray) -> bool:
    def answer(image):
        return {"features": keras.ops.cast(model(image, training=False), "float32")}

    def eager(batch):
        return {"features": keras.ops.convert_to_numpy(answer(batch.astype("float32"))["features"])}

    with tempfile.TemporaryDirectory() as directory:
        write_format(Endpoint(model, answer), Path(directory), format)
        runtime = RUNTIMES[format](Path(directory) / FORMATS[format])
        actual = run_in_chunks(runtime, images, CHUNK)["features"]
    expected = run_in_chunks(eager, images, CHUNK)["features"]
    scale = max(1.0, float(np.abs(expected).max()))
    return _largest_difference(expected, actual) > TOLERANCE * scale


def write_format(
    endpoint: Endpoint, directory: Path, format: str, calibration: np.ndarray | None = None
) -> None:
    """Writes one format below `directory`; LiteRT is made from the SavedModel there.

    Args:
        calibration: uint8 images, for `"litert_int8"`.
    """
    path, savedmodel = directory / FORMATS[format], directory / FORMATS["savedmodel"]
    if format != "onnx" and not savedmodel.is_dir():
        endpoint.write_savedmodel(savedmodel)
    if format == "onnx":
        endpoint.write_onnx(path)
    elif format == "litert":
        endpoint.write_litert(savedmodel, path)
    elif format == "litert_int8":
        endpoint.write_litert(savedmodel, path, calibration)
