"""Runs an exported package: images in, named answers out."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vislearn.export.package import FORMATS, check_format, read_manifest, verify_files
from vislearn.export.runtimes import (
    RUNTIMES,
    checked_images,
    run_in_chunks,
    single_image_latency,
)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the model says of one image file.

    Attributes:
        path: The file.
        scores: `(classes,)` float32, the probabilities.
        class_id: Number of the likeliest class.
        label: Its name.
        classes: Names of all classes, in the order of `scores`.
    """

    path: Path
    scores: np.ndarray
    class_id: int
    label: str
    classes: tuple[str, ...] = dataclasses.field(repr=False)

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes with their probabilities, likeliest first."""
        if k < 1:
            raise ValueError(f"k={k!r} must be at least 1.")
        best = np.argsort(-self.scores, kind="stable")[:k]
        return [(self.classes[index], float(self.scores[index])) for index in best]


class Predictor:
    """An exported model, loaded once and ready to be called; see `load_predictor`.

    Not to be called from two threads at once: load one a thread.

    Attributes:
        directory: The package.
        format: The format that is run.
        manifest: The content of `model.json`.
        name, task: Name of the model, and of what it does.
        classes: Names of the classes, in the order of the scores.
        input_shape: `(height, width, channels)`.
    """

    def __init__(self, directory: Path, manifest: dict[str, Any], format: str, runtime):
        self.directory = directory
        self.format = format
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.task: str = manifest["task"]
        self.classes: tuple[str, ...] = tuple(manifest["classes"])
        self.input_shape: tuple[int, int, int] = tuple(manifest["input"]["shape"][1:])
        self._runtime = runtime

    def __repr__(self) -> str:
        return (
            f"Predictor({self.name!r}, format={self.format!r}, input_shape={self.input_shape}, "
            f"{len(self.classes)} classes)"
        )

    def predict(self, images: np.ndarray, batch_size: int = 64) -> dict[str, np.ndarray]:
        """Answers for images in memory.

        Args:
            images: uint8 `(n, height, width, channels)`, pixels 0..255.
            batch_size: Images that are run at a time.

        Returns:
            The outputs that the manifest names, for a classifier `scores` `(n, classes)` float32
            and `class_id` `(n,)` int32.

        Raises:
            ValueError: If the images have another type or shape, or `batch_size` is less than 1.
        """
        images = checked_images("images", images, self.input_shape, allow_empty=True)
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} must be at least 1.")
        if len(images) == 0:
            return {
                output["name"]: np.zeros((0, *output["shape"][1:]), output["dtype"])
                for output in self.manifest["outputs"]
            }
        return run_in_chunks(self._runtime, images, batch_size)

    def predict_files(self, paths: Iterable[str | Path], batch_size: int = 64) -> list[Prediction]:
        """Answers for image files, fitted to the input as the manifest says.

        Raises:
            ValueError, OSError: If a file can't be read as an image; the message names it.
        """
        from vislearn.data.images import fit_image, read_image

        height, width, channels = self.input_shape
        mode = self.manifest["input"]["resize"]
        paths = [Path(path) for path in paths]
        predictions = []
        for start in range(0, len(paths), batch_size):
            chunk = paths[start : start + batch_size]
            images = [
                fit_image(read_image(path, channels=channels), (height, width), mode)
                for path in chunk
            ]
            answers = self.predict(np.stack(images), batch_size)
            for path, scores, class_id in zip(
                chunk, answers["scores"], answers["class_id"].tolist(), strict=True
            ):
                label = self.classes[class_id]
                predictions.append(Prediction(path, scores, class_id, label, self.classes))
        return predictions

    def latency(self, repeats: int = 50) -> float:
        """Median time of one call with one image, in milliseconds, after a warm-up."""
        return single_image_latency(self._runtime, self.input_shape, repeats)


def load_predictor(
    directory: str | Path,
    format: str = "litert",
    *,
    threads: int | None = None,
    verify: bool = True,
) -> Predictor:
    """Loads an exported package to run it.

    `"litert"`, `"litert_int8"` and `"onnx"` load neither Keras nor TensorFlow.

    Args:
        directory: The folder that `export_model` wrote.
        format: `"savedmodel"`, `"litert"`, `"litert_int8"` or `"onnx"`.
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
    runtime = RUNTIMES[format](directory / FORMATS[format], threads)
    return Predictor(directory, manifest, format, runtime)
