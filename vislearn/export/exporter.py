"""Writes a model as a package of files, each checked against Keras before it counts."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import platform
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from vislearn.cores import usable_cores
from vislearn.export import parity
from vislearn.export.attached import attach
from vislearn.export.budget import loss_notes, over_budget, sensitivity
from vislearn.export.card import write_card
from vislearn.export.checks import Order, check_backend, check_target, checked_order
from vislearn.export.convert import Endpoint
from vislearn.export.manifest import check_manifest
from vislearn.export.measuring import Measurer
from vislearn.export.package import (
    CARD,
    FORMAT_VERSION,
    FORMATS,
    LABELS,
    MANIFEST,
    ExportError,
    describe_files,
    labels_text,
)
from vislearn.export.report import ExportReport, FormatReport
from vislearn.export.runtimes import SIGNATURE, default_threads
from vislearn.export.serving import write_configs, write_warm_up
from vislearn.export.tensors import describe_outputs
from vislearn.tasks.base import TOLERANCE, Arrays, Task


def export_model(
    model: keras.Model,
    directory: str | Path,
    *,
    task: Task,
    signature: str | None = None,
    formats: Sequence[str] = ("savedmodel", "litert", "onnx"),
    quantize: str | Sequence[str] | None = None,
    keep_float: Sequence[str] = (),
    budget: float | None = None,
    calibration: np.ndarray | None = None,
    validation: Arrays | None = None,
    batch: int | None = None,
    metadata: dict[str, Any] | None = None,
    resize: str = "crop",
    overwrite: bool = False,
) -> ExportReport:
    """Exports a model with its preprocessing and decoding: uint8 images in, named answers out.

    Each file is loaded by its own runtime and compared with the Keras model; the folder appears
    under its name only when all of them agree.

    Args:
        model: A model that the task can decode: for a classifier one from pixels 0..255
            `(batch, height, width, channels)` to logits. One trained in mixed precision is
            exported in float32.
        directory: The package to write; its parents are made.
        task: The task, such as `vislearn.tasks.Classification(classes)`.
        signature: Which of the task's functions to write, such as `"decoder"`; None for its first.
            Most tasks have one, `"predict"`.
        formats: Which of `"savedmodel"`, `"litert"` and `"onnx"` to write.
        quantize: Some of `"float16"`, `"dynamic"` and `"int8"`: each adds a LiteRT file in fewer
            bits; where images go in, `"int8"` needs `calibration`.
        keep_float: Names of layers that the int8 file leaves in float, or patterns of them such as
            `"head_*"`.
        budget: How much of the task's metric a file in fewer bits may lose, such as 0.01 for a
            point (of an error its share); needs `validation`. Of what no annotation says anything
            about, such as a decoder, it is the mean difference that may lie between the answers
            and Keras's: of pictures in units of 0..1, of codes in units of their standard
            deviation. Where int8 loses more, the error tells in which layers.
        calibration: uint8 `(n, height, width, channels)`, real images (100 to 500 do), on which
            int8 ranges are set and the files are compared. Without it they are compared on random
            pixels, and the report says so. None where no images go in: there the signature draws
            its examples, such as noise.
        validation: Annotated images as `Dataset.arrays` gives them, on which each file's metrics
            are measured; for a classifier `images` uint8 and `labels` `(n,)`. Only for `"predict"`.
        batch: Examples a call that the files are fixed to, as some accelerators need it; None for
            any number.
        metadata: What to keep in `model.json` under `training`: facts and metrics, as JSON values.
        resize: How images of another size are fitted: `"crop"`, `"stretch"` or `"pad"`.
        overwrite: Replace an exported package of this name.

    Returns:
        Size, difference, agreement, metrics and speed of each file.

    Raises:
        ValueError: If an argument has a wrong type, shape or value.
        FileExistsError: If the folder exists, without `overwrite` or being no exported package.
        ExportError: If Keras does not run on TensorFlow, an operation is missing in a format, a
            file does not answer as Keras does, or one loses more than `budget`.
        OSError: If the files can't be written.
    """
    check_backend()
    directory = Path(directory)
    check_target(directory, overwrite)
    order = checked_order(
        model,
        task,
        signature=signature,
        formats=formats,
        quantize=quantize,
        keep_float=keep_float,
        budget=budget,
        calibration=calibration,
        validation=validation,
        batch=batch,
        metadata=metadata,
        resize=resize,
    )
    notes = []
    if order.network is not model:
        notes.append(f"Trained in {model.dtype_policy.name}, exported and compared in float32.")
    if order.images is None and order.takes_images:
        notes.append("No real images were given: compare again on some before relying on it.")

    with parity.full_float32():
        measurer = Measurer(order)
        endpoint = Endpoint(order.signature, batch, order.verb)
        about = _description(model.name, order, endpoint)
        with _replacing(directory) as folder:
            rows = [
                _written(folder, format, endpoint, order, about, measurer)
                for format in order.formats
            ]
            _keep_budget(folder, endpoint, order, measurer, rows)
            if "savedmodel" not in formats and (folder / "savedmodel").is_dir():
                shutil.rmtree(folder / "savedmodel")
            notes += loss_notes(rows, measurer.metric, measurer.mode)
            report = ExportReport(
                directory,
                about["name"],
                measurer.described,
                measurer.metric,
                tuple(rows),
                tuple(notes),
            )
            _write_texts(folder, report, about)
    return report


def _written(
    folder: Path,
    format: str,
    endpoint: Endpoint,
    order: Order,
    about: dict[str, Any],
    measurer: Measurer,
) -> FormatReport:
    """Writes a file, and measures it."""
    start = time.perf_counter()
    parity.write_format(endpoint, folder, format, order.calibration, order.in_float)
    if format == "savedmodel":
        # Random pixels: a picture of the data would travel with the package.
        request = order.signature.samples(order.batch or 1)
        write_warm_up(folder / FORMATS[format], about["name"], request)
    elif format.startswith("litert"):
        attach(folder / FORMATS[format], about)
    return measurer.measured(folder, format, time.perf_counter() - start)


def _keep_budget(
    folder: Path,
    endpoint: Endpoint,
    order: Order,
    measurer: Measurer,
    rows: Sequence[FormatReport],
) -> None:
    """Refuses files that lose more than they may.

    Raises:
        ExportError: If one does; of an int8 file it tells the layers that cost most.
    """
    if order.budget is None:
        return
    refused = over_budget(order.budget, rows, measurer.metric, measurer.mode)
    told = [*refused.values()]
    if "litert_int8" in refused:
        where = sensitivity(
            endpoint.int8_writer(folder / FORMATS["savedmodel"], order.calibration),
            measurer,
            rows,
            budget=order.budget,
            in_float=order.in_float,
            batch=order.batch,
        )
        told.append(str(where))
    if refused:
        raise ExportError("\n".join(told))


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


def _description(model_name: str, order: Order, endpoint: Endpoint) -> dict[str, Any]:
    """What the manifest says of the model itself, and of how it was exported."""
    task, signature, known = order.task, order.signature, order.validation
    return {
        "format_version": FORMAT_VERSION,
        "name": model_name if signature.name == "predict" else f"{model_name}_{signature.name}",
        "task": task.name,
        "family": task.family,
        "task_options": task.options(),
        "signature": signature.name,
        "shows": signature.shows,
        "classes": list(task.classes),
        "inputs": order.inputs,
        "outputs": describe_outputs(signature, endpoint.outputs),
        "savedmodel_signatures": [SIGNATURE, order.verb],
        "batch": order.batch,
        "keep_float": order.in_float,
        "validation_images": 0 if known is None else len(known["images"]),
        "training": order.training,
    }


def _write_texts(folder: Path, report: ExportReport, about: dict[str, Any]) -> None:
    """Writes all but the models: last `model.json`, which describes the other files."""
    manifest = {
        **about,
        "folder": report.directory.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "formats": [dataclasses.asdict(row) for row in report.rows],
        "metric": report.metric,
        "parity": {"samples": report.samples, "tolerance": TOLERANCE},
        "measured_on": f"{platform.machine()} with {usable_cores()} cores, "
        f"{default_threads()} threads",
        "notes": list(report.notes),
        "versions": _versions(),
    }
    (folder / LABELS).write_text(labels_text(about["classes"]), encoding="utf-8")
    (folder / CARD).write_text(write_card(manifest), encoding="utf-8")
    write_configs(folder, manifest)
    manifest["files"] = describe_files(folder)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    check_manifest(json.loads(text))  # Nothing is written that could not be read.
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
