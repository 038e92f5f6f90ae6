"""Metrics, size and speed of a model, as Keras runs it and as each exported file does."""

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from vislearn.export.convert import in_float32
from vislearn.export.package import PackageError, available_formats, files_of, read_manifest
from vislearn.export.predictor import load_predictor
from vislearn.export.runtimes import (
    IMAGE,
    checked_inputs,
    random_example,
    run_in_chunks,
    single_latency,
)
from vislearn.export.tensors import describe_inputs
from vislearn.tasks.base import Arrays, Task


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One row of a comparison.

    Attributes:
        format: `"keras"` or a format of the package.
        metrics: The task's metrics of the decoded answers.
        size: Bytes of the files, or of the weights of a Keras model.
        latency_ms: Median time of a call with one image, in milliseconds.
        images_per_second: With `batch_size` images a call.
    """

    format: str
    metrics: dict[str, float]
    size: int
    latency_ms: float
    images_per_second: float


def evaluate_package(
    directory: str | Path,
    truth: Arrays,
    formats: Iterable[str] | None = None,
    batch_size: int = 64,
    repeats: int = 50,
) -> list[Evaluation]:
    """Runs the files of a package on annotated images.

    Args:
        directory: The folder that `export_model` wrote.
        truth: Images and annotations as `Dataset.arrays` gives them; for a classifier `images`
            uint8 `(n, height, width, channels)` and `labels` `(n,)`.
        formats: Formats to run; None for all that the package holds.
        batch_size: Images a call, for the metrics and the images a second.
        repeats: Calls of which the median latency is taken.

    Raises:
        ValueError: If an argument has a wrong type, shape or value, or the package is damaged or
            takes no images.
    """
    manifest = read_manifest(directory)
    rows = []
    for format in available_formats(manifest) if formats is None else formats:
        predictor = load_predictor(directory, format)
        if not predictor.takes_images:
            raise PackageError(f"{directory} takes no images: there is nothing to measure it on.")
        inputs = checked_inputs({IMAGE: truth["images"]}, predictor.inputs)
        predictor.task.check_truth(truth)

        def answer(batch, predictor=predictor):
            return predictor.predict(batch, batch_size)

        answers, rate = _answers_and_rate(answer, inputs, batch_size)
        size = sum(manifest["files"][name]["size"] for name in files_of(manifest, format))
        metrics = predictor.task.measure(answers, truth)
        rows.append(Evaluation(format, metrics, size, predictor.latency(repeats), rate))
    return rows


def evaluate_keras(
    model, task: Task, truth: Arrays, batch_size: int = 64, repeats: int = 50
) -> Evaluation:
    """The same row for a Keras model; the other arguments are those of `evaluate_package`.

    It runs as one graph, decoding included, without the data pipeline that `predict` builds around
    a model at each call.
    """
    from vislearn import backend

    if not task.takes_images:
        raise task.no_answers()
    signature = task.predict(in_float32(model))
    expected = describe_inputs(signature)
    inputs = checked_inputs({IMAGE: truth["images"]}, expected)
    task.check_truth(truth)
    run = backend.compiled(signature.function, signature.model)

    def call(batch):
        return {name: np.asarray(value) for name, value in run(batch).items()}

    answers, rate = _answers_and_rate(call, inputs, batch_size)
    size = sum(int(np.prod(w.shape)) * np.dtype(w.dtype).itemsize for w in model.weights)
    latency = single_latency(call, random_example(expected), repeats)
    return Evaluation("keras", task.measure(answers, truth), size, latency, rate)


def _answers_and_rate(call: Callable, inputs: Arrays, batch_size: int) -> tuple[Arrays, float]:
    """The answers, and images a second."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be at least 1.")
    images = inputs[IMAGE]
    # The first call of a batch size compiles or allocates, and is not counted.
    call({IMAGE: images[:batch_size]})
    if rest := len(images) % batch_size:
        call({IMAGE: images[:rest]})
    start = time.perf_counter()
    answers = run_in_chunks(call, inputs, batch_size)
    return answers, len(images) / (time.perf_counter() - start)
