"""Accuracy, size and speed of a model, as Keras runs it and as each exported file does."""

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from vislearn.export.package import available_formats, files_of, read_manifest
from vislearn.export.predictor import load_predictor
from vislearn.export.runtimes import checked_images, checked_labels, single_image_latency


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One row of a comparison.

    Attributes:
        format: `"keras"` or a format of the package.
        accuracy: Share of the images whose likeliest class is the true one, 0..1.
        size: Bytes of the files, or of the weights of a Keras model.
        latency_ms: Median time of a call with one image, in milliseconds.
        images_per_second: With `batch_size` images a call.
    """

    format: str
    accuracy: float
    size: int
    latency_ms: float
    images_per_second: float


def evaluate_package(
    directory: str | Path,
    images: np.ndarray,
    labels: np.ndarray,
    formats: Iterable[str] | None = None,
    batch_size: int = 64,
    repeats: int = 50,
) -> list[Evaluation]:
    """Runs the files of a package on labelled images.

    Args:
        directory: The folder that `export_model` wrote.
        images: uint8 `(n, height, width, channels)`.
        labels: `(n,)` integers, the true classes.
        formats: Formats to run; None for all that the package holds.
        batch_size: Images a call, for the accuracy and the images a second.
        repeats: Calls of which the median latency is taken.

    Raises:
        ValueError: If an argument has a wrong type, shape or value, or the package is damaged.
    """
    manifest = read_manifest(directory)
    rows = []
    for format in available_formats(manifest) if formats is None else formats:
        predictor = load_predictor(directory, format)
        images = checked_images("images", images, predictor.input_shape)
        labels = checked_labels("labels", labels, len(images), len(predictor.classes))

        def classify(batch, predictor=predictor):
            return predictor.predict(batch, batch_size)["class_id"]

        accuracy, rate = _accuracy_and_rate(classify, images, labels, batch_size)
        size = sum(manifest["files"][name]["size"] for name in files_of(manifest, format))
        rows.append(Evaluation(format, accuracy, size, predictor.latency(repeats), rate))
    return rows


def evaluate_keras(
    model, images: np.ndarray, labels: np.ndarray, batch_size: int = 64, repeats: int = 50
) -> Evaluation:
    """The same row for a Keras classifier; the arguments are those of `evaluate_package`.

    It is called through `predict_on_batch`, the compiled function without the data pipeline that
    `predict` builds around it at each call.
    """
    input_shape = tuple(model.input_shape[1:])
    images = checked_images("images", images, input_shape)
    labels = checked_labels("labels", labels, len(images), model.output_shape[-1])

    def call(batch):
        return model.predict_on_batch(batch.astype("float32"))

    def classify(batch):
        return np.argmax(call(batch), axis=-1)

    accuracy, rate = _accuracy_and_rate(classify, images, labels, batch_size)
    size = sum(int(np.prod(w.shape)) * np.dtype(w.dtype).itemsize for w in model.weights)
    return Evaluation(
        "keras", accuracy, size, single_image_latency(call, input_shape, repeats), rate
    )


def _accuracy_and_rate(
    classify: Callable, images: np.ndarray, labels: np.ndarray, batch_size: int
) -> tuple[float, float]:
    """Accuracy, and images a second."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be at least 1.")
    # The first call of a batch size compiles or allocates, and is not counted.
    classify(images[:batch_size])
    if rest := len(images) % batch_size:
        classify(images[:rest])
    start = time.perf_counter()
    answers = [
        classify(images[first : first + batch_size]) for first in range(0, len(images), batch_size)
    ]
    seconds = time.perf_counter() - start
    return float(np.mean(np.concatenate(answers) == labels)), len(images) / seconds
