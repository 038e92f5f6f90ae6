"""Writes a model as a package of files, each checked against Keras before it counts."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from vislearn.export import parity
from vislearn.export.card import write_card
from vislearn.export.convert import Endpoint, in_float32
from vislearn.export.package import (
    CARD,
    FORMAT_VERSION,
    FORMATS,
    LABELS,
    MANIFEST,
    ExportError,
    describe_files,
)
from vislearn.export.runtimes import (
    INPUT,
    RUNTIMES,
    checked_images,
    checked_labels,
    default_threads,
    random_images,
    run_in_chunks,
    single_image_latency,
)

RESIZE_MODES = ("crop", "stretch")
CHANNELS = {1: "grey", 3: "RGB"}
# Images that the files are compared on, spread evenly over those given.
PARITY_IMAGES = 64
LATENCY_REPEATS = 30

MEANINGS = {
    "scores": "probability of each class, in the order of the classes; they sum to 1",
    "class_id": "number of the likeliest class",
}


@dataclasses.dataclass(frozen=True)
class FormatReport:
    """What was measured on one exported format.

    Attributes:
        format: `"savedmodel"`, `"litert"`, `"litert_int8"` or `"onnx"`.
        file: File or folder, relative to the package.
        size: Bytes.
        max_difference: Largest absolute difference from Keras of each float output.
        class_agreement: Share of the images with the class that Keras gives, 0..1.
        accuracy: Share of the validation images that are right, 0..1; None without any.
        latency_ms: Median milliseconds of one image.
        seconds: Time to write the file.
    """

    format: str
    file: str
    size: int
    max_difference: dict[str, float]
    class_agreement: float
    accuracy: float | None
    latency_ms: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What `export_model` wrote and measured.

    Attributes:
        directory: The package.
        name: Name of the model.
        samples: What the files were compared on, such as `"64 calibration images"`.
        rows: One a format.
        notes: What else a reader should know.
    """

    directory: Path
    name: str
    samples: str
    rows: tuple[FormatReport, ...]
    notes: tuple[str, ...] = ()

    def table(self):
        """The rows as a `rich.table.Table`."""
        from rich.table import Table

        table = Table(title=f"{self.name} in {self.directory}", caption=self._caption())
        table.add_column("format", no_wrap=True)
        for header in ("size", "max diff", "same class", "accuracy", "one image", "export"):
            table.add_column(header, justify="right")
        for row in self.rows:
            table.add_row(
                row.format,
                f"{row.size / 1e6:.2f} MB",
                f"{max(row.max_difference.values()):.1e}",
                f"{row.class_agreement:.2%}",
                "" if row.accuracy is None else f"{row.accuracy:.2%}",
                f"{row.latency_ms:.2f} ms",
                f"{row.seconds:.1f} s",
            )
        return table

    def _caption(self) -> str:
        return "\n".join((f"Compared with Keras on {self.samples}.", *self.notes))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {**dataclasses.asdict(self), "directory": str(self.directory)}


def export_model(
    model: keras.Model,
    directory: str | Path,
    *,
    task,
    formats: Sequence[str] = ("savedmodel", "litert", "onnx"),
    quantize: str | None = None,
    calibration: np.ndarray | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    metadata: dict[str, Any] | None = None,
    resize: str = "crop",
    overwrite: bool = False,
) -> ExportReport:
    """Exports a model with its preprocessing and decoding: uint8 images in, named answers out.

    Each file is loaded by its own runtime and compared with the Keras model; the folder appears
    under its name only when all of them agree.

    Args:
        model: A model from `(batch, height, width, channels)` pixels 0..255 to what `task.decode`
            takes, for a classifier logits. One trained in mixed precision is exported in float32.
        directory: The package to write; its parents are made.
        task: The task, such as `vislearn.tasks.Classification(classes)`.
        formats: Which of `"savedmodel"`, `"litert"` and `"onnx"` to write.
        quantize: `"int8"` adds `model_int8.tflite`, which needs `calibration`.
        calibration: uint8 `(n, height, width, channels)`, real images (100 to 500 do), on which
            int8 ranges are set and the files are compared. Without it they are compared on random
            pixels, and the report says so.
        validation: uint8 images and their labels `(n,)`, on which the accuracy of each file is
            measured.
        metadata: What to keep in `model.json` under `training`: facts and metrics, as JSON values.
        resize: How images of another size are fitted: `"crop"` or `"stretch"`.
        overwrite: Replace an exported package of this name.

    Returns:
        Size, difference, agreement, accuracy and speed of each file.

    Raises:
        ValueError: If an argument has a wrong type, shape or value.
        FileExistsError: If the folder exists, without `overwrite` or being no exported package.
        ExportError: If Keras does not run on TensorFlow, an operation is missing in a format, or
            a file does not answer as Keras does.
        OSError: If the files can't be written.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Export needs TensorFlow, and Keras runs on {keras.backend.backend()}: save the model "
            "as .keras, and export it in a process with KERAS_BACKEND=tensorflow."
        )
    directory = Path(directory)
    _check_target(directory, overwrite)
    formats = _checked_formats(formats, quantize, calibration)
    input_shape = _checked_input_shape(model)
    _check_answers(model, task)
    if resize not in RESIZE_MODES:
        raise ValueError(f"resize={resize!r} must be one of {RESIZE_MODES}.")
    if calibration is not None:
        calibration = checked_images("calibration", calibration, input_shape)
    if validation is not None:
        validation = _checked_validation(validation, input_shape, len(task.classes))
    training = _checked_metadata(metadata)

    notes = []
    network = in_float32(model)
    if network is not model:
        notes.append(f"Trained in {model.dtype_policy.name}, exported and compared in float32.")
    if calibration is None:
        samples, described = random_images(16, input_shape), "16 images of random pixels (seed 0)"
        notes.append("No real images were given: compare again on some before relying on it.")
    else:
        count = min(PARITY_IMAGES, len(calibration))
        samples = calibration[np.linspace(0, len(calibration) - 1, count).astype(int)]
        described = f"{len(samples)} calibration images"

    with parity.full_float32():
        expected = parity.keras_outputs(network, task, samples)
        for name, value in expected.items():
            if not np.all(np.isfinite(value)):
                raise ExportError(
                    f"The model's output {name!r} holds NaN or infinity on {described}."
                )

        endpoint = Endpoint(network, lambda image: task.decode(network(image, training=False)))
        with _replacing(directory) as folder:
            rows = []
            for format in formats:
                start = time.perf_counter()
                parity.write_format(endpoint, folder, format, calibration)
                seconds = time.perf_counter() - start
                rows.append(
                    _measured(folder, format, seconds, network, samples, expected, validation)
                )
            if "savedmodel" not in formats and (folder / "savedmodel").is_dir():
                shutil.rmtree(folder / "savedmodel")
            notes += int8_losses(rows)
            report = ExportReport(directory, model.name, described, tuple(rows), tuple(notes))
            _write_texts(folder, report, endpoint, task, training, resize, input_shape, validation)
    return report


def int8_losses(rows: Sequence[FormatReport]) -> list[str]:
    """A warning, if the int8 file loses more than a point, or agrees on less than 95 % of images.

    Without labelled images the agreement is all there is to go by.
    """
    int8 = next((row for row in rows if row.format == "litert_int8"), None)
    if int8 is None:
        return []
    accuracies = [row.accuracy for row in rows if row is not int8 and row.accuracy is not None]
    if accuracies and int8.accuracy < max(accuracies) - 0.01:
        return [
            f"The int8 file is right on {int8.accuracy:.2%}, the float files on "
            f"{max(accuracies):.2%}: use it only if that will do."
        ]
    if not accuracies and int8.class_agreement < 0.95:
        return [
            f"The int8 file gives the class that Keras gives on only {int8.class_agreement:.2%}: "
            "measure its accuracy before using it."
        ]
    return []


def _check_target(directory: Path, overwrite: bool) -> None:
    if not directory.exists():
        return
    if not overwrite:
        raise FileExistsError(f"directory={str(directory)!r} exists; overwrite=True replaces it.")
    # Only what an export wrote is ever replaced, never a folder given by mistake.
    empty = directory.is_dir() and not any(directory.iterdir())
    if not empty and not (directory / MANIFEST).is_file():
        raise FileExistsError(
            f"directory={str(directory)!r} is not replaced: it holds no {MANIFEST}, "
            "so it is no exported package."
        )


def _checked_formats(formats, quantize, calibration) -> list[str]:
    allowed = [format for format in FORMATS if format != "litert_int8"]
    if isinstance(formats, str) or not formats or not {*formats} <= {*allowed}:
        raise ValueError(f"formats={formats!r} must be a non-empty list of some of {allowed}.")
    if quantize not in (None, "int8"):
        raise ValueError(f"quantize={quantize!r} must be None or 'int8'.")
    if quantize and calibration is None:
        raise ValueError(
            "quantize='int8' needs calibration: real images that show which ranges occur."
        )
    wanted = {*formats, "litert_int8"} if quantize else {*formats}
    return [format for format in FORMATS if format in wanted]


def _checked_input_shape(model: keras.Model) -> tuple[int, int, int]:
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            f"model has the input shape {shape}: export needs one image input of fixed height, "
            "width and channels."
        )
    return tuple(shape[1:])


def _check_answers(model: keras.Model, task) -> None:
    """Finds what would otherwise become wrong answers under right names."""
    if model.output_shape != (None, len(task.classes)):
        raise ValueError(
            f"model has the output shape {model.output_shape}, and task has {len(task.classes)} "
            f"classes: it must be (None, {len(task.classes)})."
        )
    activation = getattr(model.layers[-1], "activation", keras.activations.linear)
    if activation in (keras.activations.softmax, keras.activations.sigmoid):
        raise ValueError(
            f"model ends in {activation.__name__}, and the export adds the softmax: build it with "
            "classifier_activation=None."
        )
    broken = [name for name in task.classes if name.splitlines() != [name]]
    if broken:
        raise ValueError(f"task.classes must be one-line names that are not empty: {broken!r}.")


def _checked_validation(validation, input_shape, classes: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise ValueError("validation must be a pair (images, labels).")
    images = checked_images("validation[0]", validation[0], input_shape)
    return images, checked_labels("validation[1]", validation[1], len(images), classes)


def _checked_metadata(metadata) -> dict[str, Any]:
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict):
        raise ValueError(f"metadata must be a dictionary, and is {type(metadata).__name__}.")
    try:
        return json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata must hold only what JSON can: {error}") from error


@contextlib.contextmanager
def _replacing(directory: Path) -> Iterator[Path]:
    """A new folder beside `directory` that takes its name at the end, or vanishes on an error."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    folder = directory.parent / f".{directory.name}.{mark}.new"
    retired = directory.parent / f".{directory.name}.{mark}.old"
    folder.mkdir()
    try:
        yield folder
        if directory.exists():
            directory.rename(retired)
        try:
            folder.rename(directory)
        except OSError:
            if retired.exists():
                retired.rename(directory)
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(retired, ignore_errors=True)


def _measured(folder, format, seconds, network, samples, expected, validation) -> FormatReport:
    """Loads a file with its own runtime, compares it with Keras, and times it.

    Raises:
        ExportError: If a float format differs by more than the tolerance.
    """
    path = folder / FORMATS[format]
    runtime = RUNTIMES[format](path)
    found = parity.compare(expected, run_in_chunks(runtime, samples, parity.CHUNK))
    if format != "litert_int8":
        worst = max(found.max_difference, key=found.max_difference.get)
        if found.max_difference[worst] > parity.TOLERANCE or found.unexplained:
            layer = parity.first_differing_layer(network, format, samples)
            where = f"the difference starts in the layer {layer!r}; " if layer else ""
            raise ExportError(
                f"{format} does not answer as Keras does: {where}output {worst!r} differs by up to "
                f"{found.max_difference[worst]:.2e}, and {parity.TOLERANCE:.0e} is allowed; the "
                f"class differs without a tie on {found.unexplained} of {len(samples)} images."
            )
    accuracy = None
    if validation is not None:
        images, labels = validation
        answers = run_in_chunks(runtime, images, parity.CHUNK)["class_id"]
        accuracy = float(np.mean(answers == labels))
    files = path.rglob("*") if path.is_dir() else [path]
    return FormatReport(
        format=format,
        file=FORMATS[format],
        size=sum(file.stat().st_size for file in files if file.is_file()),
        max_difference=found.max_difference,
        class_agreement=found.class_agreement,
        accuracy=accuracy,
        latency_ms=single_image_latency(runtime, samples.shape[1:], LATENCY_REPEATS),
        seconds=seconds,
    )


def _write_texts(
    folder: Path, report: ExportReport, endpoint, task, training, resize, input_shape, validation
) -> None:
    """Writes `labels.txt`, `card.md` and, last, `model.json`, which describes all other files."""
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": report.name,
        "folder": report.directory.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": task.name,
        "classes": list(task.classes),
        "input": {
            "name": INPUT,
            "shape": [None, *input_shape],
            "dtype": "uint8",
            "range": [0, 255],
            "channels": CHANNELS.get(input_shape[-1], f"{input_shape[-1]} channels"),
            "resize": resize,
        },
        "outputs": [
            {
                "name": name,
                "shape": list(shape),
                "dtype": dtype,
                "meaning": MEANINGS.get(name, ""),
            }
            for name, (shape, dtype) in endpoint.outputs.items()
        ],
        "formats": [dataclasses.asdict(row) for row in report.rows],
        "metrics": {
            task.metric: {row.format: row.accuracy for row in report.rows if validation is not None}
        },
        "validation_images": 0 if validation is None else len(validation[0]),
        "parity": {"samples": report.samples, "tolerance": parity.TOLERANCE},
        "measured_on": f"{platform.machine()} with {os.cpu_count()} cores, "
        f"{default_threads()} threads",
        "notes": list(report.notes),
        "training": training,
        "versions": _versions(),
    }
    (folder / LABELS).write_text("".join(f"{name}\n" for name in task.classes), encoding="utf-8")
    (folder / CARD).write_text(write_card(manifest), encoding="utf-8")
    manifest["files"] = describe_files(folder)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    names = (
        "vislearn",
        "keras",
        "tensorflow",
        "numpy",
        "tf2onnx",
        "onnx",
        "onnxruntime",
        "ai-edge-litert",
    )
    installed = {dist.name.lower(): dist.version for dist in importlib.metadata.distributions()}
    return {"python": platform.python_version()} | {
        name: installed[name] for name in names if name in installed
    }
