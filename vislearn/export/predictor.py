"""Runs an exported package: images in, named answers out."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vislearn.export.package import FORMATS, check_format, read_manifest, task_of, verify_files
from vislearn.export.runtimes import (
    IMAGE,
    checked_inputs,
    open_runtime,
    random_example,
    run_in_chunks,
    single_latency,
)
from vislearn.tasks.base import Arrays, Task


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the model says of one image file.

    Attributes:
        path: The file.
        answers: Every output for it, by name, without the batch axis.
        task: The task, which knows what they mean.
    """

    path: Path
    answers: dict[str, np.ndarray] = dataclasses.field(repr=False)
    task: Task = dataclasses.field(repr=False)

    @property
    def label(self) -> str:
        """The surest answer in words, such as the likeliest class; empty if there is none."""
        return next((label for label, _ in self.top(1)), "")

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` surest answers in words, each with its score, the surest first.

        For a classifier the likeliest classes and their probabilities, for a detector its objects.
        """
        if k < 1:
            raise ValueError(f"k={k!r} must be at least 1.")
        batch = {name: np.asarray(value)[np.newaxis] for name, value in self.answers.items()}
        return self.task.describe(batch, 0, k)


class Predictor:
    """An exported model, loaded once and ready to be called; see `load_predictor`.

    Not to be called from two threads at once: load one a thread.

    Attributes:
        directory: The package.
        format: The format that is run.
        manifest: The content of `model.json`.
        name: Name of the model.
        task: What it does; knows how answers are measured, compared, described and drawn.
        classes: Names of the classes, in the order of their numbers.
        inputs: Name, shape, dtype and meaning of each input.
    """

    def __init__(self, directory: Path, manifest: dict[str, Any], format: str, runtime):
        self.directory = directory
        self.format = format
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.task = task_of(manifest)
        self.classes: tuple[str, ...] = tuple(manifest["classes"])
        self.inputs: list[dict[str, Any]] = manifest["inputs"]
        self._runtime = runtime

    def __repr__(self) -> str:
        inputs = ", ".join(f"{item['name']} {tuple(item['shape'][1:])}" for item in self.inputs)
        return f"Predictor({self.name!r}, format={self.format!r}, {inputs})"

    @property
    def takes_images(self) -> bool:
        """Whether pictures go in."""
        return [item["name"] for item in self.inputs] == [IMAGE]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of its first input without the batch, `(height, width, channels)` of an image."""
        return tuple(self.inputs[0]["shape"][1:])

    def predict(self, inputs: np.ndarray | Arrays, batch_size: int = 64) -> Arrays:
        """Answers for arrays in memory.

        Args:
            inputs: uint8 images `(n, height, width, channels)`, pixels 0..255; or a dictionary of
                arrays, as `inputs` says.
            batch_size: Examples that are run at a time.

        Returns:
            The outputs that the manifest names, for a classifier `scores` `(n, classes)` float32
            and `class_id` `(n,)` int32.

        Raises:
            ValueError: If an input has another type or shape, or `batch_size` is less than 1.
        """
        checked = checked_inputs(inputs, self.inputs, allow_empty=True)
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} must be at least 1.")
        if len(next(iter(checked.values()))) == 0:
            return {
                output["name"]: np.zeros((0, *output["shape"][1:]), output["dtype"])
                for output in self.manifest["outputs"]
            }
        return run_in_chunks(self._runtime, checked, batch_size)

    def predict_files(self, paths: Iterable[str | Path], batch_size: int = 64) -> list[Prediction]:
        """Answers for image files, fitted to the input as the manifest says.

        Raises:
            ValueError, OSError: If a file can't be read as an image; the message names it. If the
                model takes no images.
        """
        from vislearn.data.images import fit_image, read_image

        if not self.takes_images:
            names = [item["name"] for item in self.inputs]
            raise ValueError(f"{self.name} takes {names}, no images.")
        height, width, channels = self.input_shape
        mode = self.inputs[0]["resize"]
        paths = [Path(path) for path in paths]
        predictions = []
        for start in range(0, len(paths), batch_size):
            chunk = paths[start : start + batch_size]
            images = [
                fit_image(read_image(path, channels=channels), (height, width), mode)
                for path in chunk
            ]
            answers = self.predict(np.stack(images), batch_size)
            for index, path in enumerate(chunk):
                one = {name: value[index] for name, value in answers.items()}
                predictions.append(Prediction(path, one, self.task))
        return predictions

    def latency(self, repeats: int = 50) -> float:
        """Median time of one call with one example, in milliseconds, after a warm-up."""
        return single_latency(self._runtime, random_example(self.inputs), repeats)


def load_predictor(
    directory: str | Path,
    format: str = "litert",
    *,
    threads: int | None = None,
    verify: bool = True,
) -> Predictor:
    """Loads an exported package to run it.

    All but `"savedmodel"` load neither Keras nor TensorFlow.

    Args:
        directory: The folder that `export_model` wrote.
        format: `"savedmodel"`, `"litert"`, `"litert_float16"`, `"litert_dynamic"`, `"litert_int8"`
            or `"onnx"`.
        threads: Threads to compute with; None for one a core, at most four. Must be None for
            `"savedmodel"`, where TensorFlow sets them for the whole process.
        verify: Compare the files with the sha256 in `model.json` before they are loaded. A
            SavedModel is a program: load only what comes from a source that you trust.

    Raises:
        FileNotFoundError: If there is no such folder.
        PackageError: If it is no exported package, or a file is missing or damaged.
        ValueError: If there is no such format, or the package does not hold it; `threads`.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    check_format(directory, manifest, format)
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads!r} must be None or at least 1.")
    if verify:
        verify_files(directory, manifest, format)
    runtime = open_runtime(directory / FORMATS[format], format, threads, manifest.get("batch"))
    return Predictor(directory, manifest, format, runtime)
