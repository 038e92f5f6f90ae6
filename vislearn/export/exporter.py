"""Writes a model as a package of files, each checked against Keras before it counts."""

import contextlib
import dataclasses
import datetime
import difflib
import fnmatch
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
from vislearn.export.convert import Endpoint, in_float32
from vislearn.export.package import (
    CARD,
    FORMAT_VERSION,
    FORMATS,
    LABELS,
    MANIFEST,
    QUANTIZED,
    ExportError,
    describe_files,
    labels_text,
)
from vislearn.export.report import ExportReport, FormatReport
from vislearn.export.runtimes import (
    IMAGE,
    SIGNATURE,
    checked_inputs,
    default_threads,
    open_runtime,
    run_in_chunks,
    single_latency,
)
from vislearn.export.serving import write_configs, write_warm_up
from vislearn.tasks.base import TOLERANCE, Arrays, Signature, Task

RESIZE_MODES = ("crop", "stretch", "pad")
CHANNELS = {1: "grey", 3: "RGB"}
# Examples that the files are compared on, spread evenly over those given.
PARITY_EXAMPLES = 64
RANDOM_EXAMPLES = 16
LATENCY_REPEATS = 30
LATENCY_SECONDS = 10  # Slow functions, such as whole samplers, are called fewer times.


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
            bits, `"int8"` needs `calibration`.
        keep_float: Names of layers that the int8 file leaves in float, or patterns of them such as
            `"head_*"`.
        budget: How much of the task's metric a file in fewer bits may lose, such as 0.01 for a
            point (of an error its share); needs `validation`. Where int8 loses more, the error
            tells in which layers.
        calibration: uint8 `(n, height, width, channels)`, real images (100 to 500 do), on which
            int8 ranges are set and the files are compared. Without it they are compared on random
            pixels, and the report says so. Not used where no images go in.
        validation: Annotated images as `Dataset.arrays` gives them, on which each file's metrics
            are measured; for a classifier `images` uint8 and `labels` `(n,)`.
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
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Export needs TensorFlow, and Keras runs on {keras.backend.backend()}: save the model "
            "as .keras, and export it in a process with KERAS_BACKEND=tensorflow."
        )
    directory = Path(directory)
    _check_target(directory, overwrite)
    quantize = [quantize] if isinstance(quantize, str) else [*(quantize or ())]
    formats = _checked_formats(formats, quantize, calibration)
    if batch is not None and batch < 1:
        raise ValueError(f"batch={batch!r} must be None or at least 1.")
    _check_task(model, task)
    network = in_float32(model)
    wanted = _signature(task.signatures(network), signature)
    expected_inputs = describe_inputs(wanted, batch)
    takes_images = [item["name"] for item in expected_inputs] == [IMAGE]
    if resize not in RESIZE_MODES:
        raise ValueError(f"resize={resize!r} must be one of {RESIZE_MODES}.")
    if not takes_images:
        if "int8" in quantize:
            raise ValueError(
                f"quantize={quantize!r}: {wanted.name} takes no images, whose ranges could be set."
            )
        calibration, validation = None, None
    if calibration is not None:
        calibration = checked_inputs({IMAGE: calibration}, expected_inputs, argument="calibration")
    if validation is not None:
        validation = _checked_validation(validation, expected_inputs, task)
    in_float = _checked_layers(keep_float, network, quantize)
    _check_budget(budget, quantize, task, validation)
    training = _checked_metadata(metadata)

    notes = []
    if network is not model:
        notes.append(f"Trained in {model.dtype_policy.name}, exported and compared in float32.")
    samples, described = _samples(wanted, calibration)
    if calibration is None and takes_images:
        notes.append("No real images were given: compare again on some before relying on it.")

    with parity.full_float32():
        expected = parity.keras_outputs(wanted, samples)
        for name, value in expected.items():
            if not np.all(np.isfinite(value)):
                raise ExportError(
                    f"The model's output {name!r} holds NaN or infinity on {described}."
                )

        # `predict` is said as the task says it, such as `classify`.
        verb = task.verb if wanted.name == "predict" else wanted.name
        endpoint = Endpoint(wanted, batch, verb)
        about = {
            **_description(model, task, wanted, endpoint),
            "inputs": [
                {**item, "resize": resize} if item["name"] == IMAGE else item
                for item in expected_inputs
            ],
            "savedmodel_signatures": [SIGNATURE, verb],
            "batch": batch,
            "keep_float": in_float,
            "validation_images": 0 if validation is None else len(validation["images"]),
            "training": training,
        }
        with _replacing(directory) as folder:
            rows = []
            for format in formats:
                start = time.perf_counter()
                parity.write_format(endpoint, folder, format, calibration, in_float)
                if format == "savedmodel":
                    # Random pixels: a picture of the data would travel with the package.
                    request = wanted.samples(batch or 1)
                    write_warm_up(folder / FORMATS[format], about["name"], request)
                elif format.startswith("litert"):
                    attach(folder / FORMATS[format], about)
                seconds = time.perf_counter() - start
                row = _measured(
                    *(folder, format, seconds, task, wanted, samples, expected, validation, batch)
                )
                rows.append(row)
            refused = {} if budget is None else over_budget(budget, rows, task)
            told = [*refused.values()]
            if "litert_int8" in refused:
                writer = endpoint.int8_writer(folder / FORMATS["savedmodel"], calibration)
                where = sensitivity(
                    writer, task, validation, rows, budget=budget, in_float=in_float, batch=batch
                )
                told.append(str(where))
            if refused:
                raise ExportError("\n".join(told))
            if "savedmodel" not in formats and (folder / "savedmodel").is_dir():
                shutil.rmtree(folder / "savedmodel")
            notes += loss_notes(rows, task.metric, task.metric_mode)
            report = ExportReport(
                directory, about["name"], described, task.metric, tuple(rows), tuple(notes)
            )
            _write_texts(folder, report, task, about)
    return report


def _signature(found: Sequence[Signature], name: str | None) -> Signature:
    """The signature of this name, or the first.

    Raises:
        ValueError: If there is none of this name, or an input has no fixed shape.
    """
    by_name = {signature.name: signature for signature in found}
    if name is not None and name not in by_name:
        raise ValueError(f"signature={name!r} must be one of {[*by_name]}.")
    wanted = found[0] if name is None else by_name[name]
    for input in wanted.inputs:
        if None in input.shape:
            raise ValueError(
                f"model has the input shape {input.shape}: export needs inputs of fixed size."
            )
    return wanted


def describe_inputs(signature: Signature, batch: int | None = None) -> list[dict[str, Any]]:
    """The inputs of a signature as `model.json` keeps them."""
    found = []
    for input in signature.inputs:
        item = {
            "name": input.name,
            "shape": [batch, *input.shape],
            "dtype": input.dtype,
            "meaning": input.meaning,
        }
        if input.name == IMAGE and input.dtype == "uint8":
            channels = input.shape[-1]
            item |= {"range": [0, 255], "channels": CHANNELS.get(channels, f"{channels} channels")}
        found.append(item)
    return found


def _samples(signature: Signature, calibration: Arrays | None) -> tuple[Arrays, str]:
    """The examples that the files are compared on, and what they are."""
    if calibration is not None:
        images = calibration[IMAGE]
        count = min(PARITY_EXAMPLES, len(images))
        chosen = np.linspace(0, len(images) - 1, count).astype(int)
        return {IMAGE: images[chosen]}, f"{count} calibration images"
    samples = signature.samples(RANDOM_EXAMPLES)
    described = "images of random pixels" if [*samples] == [IMAGE] else "random examples"
    return samples, f"{RANDOM_EXAMPLES} {described} (seed 0)"


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
    allowed = [format for format in FORMATS if format not in QUANTIZED.values()]
    if isinstance(formats, str) or not formats or not {*formats} <= {*allowed}:
        raise ValueError(f"formats={formats!r} must be a non-empty list of some of {allowed}.")
    if not {*quantize} <= {*QUANTIZED}:
        raise ValueError(f"quantize={quantize!r} must be some of {[*QUANTIZED]}.")
    if "int8" in quantize and calibration is None:
        raise ValueError(
            "quantize='int8' needs calibration: real images that show which ranges occur."
        )
    wanted = {*formats, *(QUANTIZED[kind] for kind in quantize)}
    return [format for format in FORMATS if format in wanted]


def _check_task(model: keras.Model, task: Task) -> None:
    """Finds what would otherwise become wrong answers under right names."""
    task.check_model(model)
    broken = [name for name in task.classes if name.splitlines() != [name]]
    if broken:
        raise ValueError(f"task.classes must be one-line names that are not empty: {broken!r}.")


def _checked_layers(patterns: Sequence[str], network: keras.Model, quantize) -> list[str]:
    """Names of the layers that match a pattern."""
    if isinstance(patterns, str):
        raise ValueError(f"keep_float={patterns!r} must be a list of names.")
    if patterns and "int8" not in quantize:
        raise ValueError(f"keep_float={[*patterns]!r} is for quantize='int8'.")
    names = [layer.name for layer in network.layers]
    found = []
    for pattern in patterns:
        matches = fnmatch.filter(names, pattern)
        if not matches:
            near = difflib.get_close_matches(pattern, names)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ValueError(f"keep_float={pattern!r} is no layer of {network.name}.{hint}")
        found += matches
    return [*dict.fromkeys(found)]


def _check_budget(budget: float | None, quantize, task: Task, validation) -> None:
    if budget is None:
        return
    if not 0 <= budget < 1:
        raise ValueError(f"budget={budget!r} must lie in 0..1, such as 0.01 for a point.")
    if not quantize or validation is None or task.metric is None:
        raise ValueError(
            f"budget={budget!r} needs quantize, and validation images on which the metric is "
            "measured."
        )


def _checked_validation(validation, expected_inputs, task: Task) -> Arrays:
    if not isinstance(validation, dict) or "images" not in validation:
        raise ValueError(
            "validation must be a dictionary of images and annotations, as Dataset.arrays gives it."
        )
    given = {IMAGE: validation["images"]}
    images = checked_inputs(given, expected_inputs, argument="validation['images']")[IMAGE]
    task.check_truth({**validation, "images": images})
    return {**validation, "images": images}


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


def _measured(
    folder, format, seconds, task, signature, samples, expected, validation, batch
) -> FormatReport:
    """Loads a file with its own runtime, compares it with Keras, and times it.

    Raises:
        ExportError: If a float format differs by more than the tolerance.
    """
    path = folder / FORMATS[format]
    runtime = open_runtime(path, format, batch=batch)
    found = parity.compare(
        task, expected, run_in_chunks(runtime, samples, parity.chunk_size(samples))
    )
    if format not in QUANTIZED.values():
        worst = max(found.max_difference, key=found.max_difference.get)
        if found.max_difference[worst] > TOLERANCE or found.unexplained:
            layer = parity.first_differing_layer(signature, format, samples)
            where = f"the difference starts in the layer {layer!r}; " if layer else ""
            raise ExportError(
                f"{format} does not answer as Keras does: {where}output {worst!r} differs by up to "
                f"{found.max_difference[worst]:.2e}, and {TOLERANCE:.0e} is allowed; "
                f"{found.unexplained} decisions differ without a tie."
            )
    metrics = None
    if validation is not None:
        images = {IMAGE: validation["images"]}
        answers = run_in_chunks(runtime, images, parity.chunk_size(images))
        metrics = task.measure(answers, validation)
    files = path.rglob("*") if path.is_dir() else [path]
    one = {name: value[:1] for name, value in samples.items()}
    start = time.perf_counter()
    runtime(one)
    repeats = int(LATENCY_SECONDS / (time.perf_counter() - start))
    return FormatReport(
        format=format,
        file=FORMATS[format],
        size=sum(file.stat().st_size for file in files if file.is_file()),
        max_difference=found.max_difference,
        agreement=found.agreement,
        metrics=metrics,
        latency_ms=single_latency(runtime, one, min(LATENCY_REPEATS, max(1, repeats))),
        seconds=seconds,
    )


def _description(model, task: Task, signature: Signature, endpoint: Endpoint) -> dict[str, Any]:
    """What the manifest says of the model itself."""
    return {
        "format_version": FORMAT_VERSION,
        "name": model.name if signature.name == "predict" else f"{model.name}_{signature.name}",
        "task": task.name,
        "family": task.family,
        "task_options": task.options(),
        "signature": signature.name,
        "shows": signature.shows,
        "classes": list(task.classes),
        "outputs": [
            {
                "name": name,
                "shape": list(shape),
                "dtype": dtype,
                "meaning": signature.meanings.get(name, ""),
            }
            for name, (shape, dtype) in endpoint.outputs.items()
        ],
    }


def _write_texts(folder: Path, report: ExportReport, task: Task, about: dict[str, Any]) -> None:
    """Writes all but the models: last `model.json`, which describes the other files."""
    manifest = {
        **about,
        "folder": report.directory.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "formats": [dataclasses.asdict(row) for row in report.rows],
        "metric": task.metric,
        "parity": {"samples": report.samples, "tolerance": TOLERANCE},
        "measured_on": f"{platform.machine()} with {usable_cores()} cores, "
        f"{default_threads()} threads",
        "notes": list(report.notes),
        "versions": _versions(),
    }
    (folder / LABELS).write_text(labels_text(task.classes), encoding="utf-8")
    (folder / CARD).write_text(write_card(manifest), encoding="utf-8")
    write_configs(folder, manifest)
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
