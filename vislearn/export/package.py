"""The exported package on disk: what lies where in the folder, and whether it is undamaged.

savedmodel/1/         SavedModel, for TensorFlow Serving
model.tflite          LiteRT, built-in operations only
model_float16.tflite  LiteRT, weights rounded to 16 bits
model_dynamic.tflite  LiteRT, weights in 8-bit integers, ranges of the rest found while it runs
model_int8.tflite     LiteRT, quantised to 8-bit integers
model.onnx            ONNX
serving/              what TensorFlow Serving and Triton read beside a model
labels.txt            the classes, one a line, in the order of their numbers
model.json            the manifest: task, inputs, outputs, figures, size and sha256 of each file
card.md               the same for people
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vislearn.export.manifest import FORMATS, check_manifest
from vislearn.tasks import Task, get_task

FORMAT_VERSION = 2
MANIFEST = "model.json"
LABELS = "labels.txt"
CARD = "card.md"

# What `quantize` may name, and the format that it adds. These may differ from Keras.
QUANTIZED = {kind: f"litert_{kind}" for kind in ("float16", "dynamic", "int8")}


class ExportError(ValueError):
    """The model can't be exported as asked; no package was left behind."""


class PackageError(ValueError):
    """The folder is no exported package, or one that is damaged or too new."""


def labels_text(classes: Sequence[str]) -> str:
    """The content of `labels.txt`."""
    return "".join(f"{name}\n" for name in classes)


def describe_files(directory: Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and sha256 of every file below a folder, by relative path."""
    return {
        path.relative_to(directory).as_posix(): {
            "size": path.stat().st_size,
            "sha256": _sha256(path),
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """The content of `model.json`, checked: every key that is used later is there, and of its type.

    Raises:
        FileNotFoundError: If there is no such folder.
        PackageError: If it holds no `model.json`, or one that can't be understood; the message
            names the key, its value and the rule.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"directory={str(directory)!r} is no folder.")
    path = directory / MANIFEST
    if not path.is_file():
        inside = sorted(found.parent.name for found in directory.glob(f"*/{MANIFEST}"))
        hint = f" It holds packages: name one of {inside}." if inside else ""
        raise PackageError(f"{directory} is no exported package: it holds no {MANIFEST}.{hint}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # Broken JSON, or bytes that are no UTF-8.
        raise PackageError(f"{path} is damaged: {error}") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise PackageError(
            f"{path} has format_version={version!r}; this vislearn reads {FORMAT_VERSION}."
        )
    try:
        check_manifest(manifest)
        task_of(manifest)
    except (TypeError, ValueError) as error:  # A task compares its options as they come.
        raise PackageError(f"{path} is damaged: {error}") from error
    return manifest


def task_of(manifest: dict[str, Any]) -> Task:
    """The task of a package, as it was exported."""
    options = manifest["task_options"]
    return get_task(manifest["task"], manifest["classes"], manifest["family"], **options)


def files_of(manifest: dict[str, Any], format: str) -> list[str]:
    """Relative paths of the files that make up a format; none if the package lacks it."""
    root = FORMATS[format]
    return [name for name in manifest["files"] if name == root or name.startswith(f"{root}/")]


def available_formats(manifest: dict[str, Any]) -> list[str]:
    """The formats that a package holds."""
    return [format for format in FORMATS if files_of(manifest, format)]


def check_format(directory: str | Path, manifest: dict[str, Any], format: str) -> None:
    """Raises ValueError if there is no such format or the package does not hold it."""
    available = available_formats(manifest)
    if format not in available:
        what = "is not in this package" if format in FORMATS else "is no format"
        raise ValueError(f"format={format!r} {what}: {directory} holds {available}.")


def verify_files(directory: str | Path, manifest: dict[str, Any], format: str) -> None:
    """Compares the files of a format, and the labels, with the sha256 in the manifest.

    Raises:
        PackageError: If a file is missing, differs, or is not in the manifest.
    """
    directory = Path(directory)
    expected = {*files_of(manifest, format), LABELS}
    for name in sorted(expected):
        path = directory / name
        if not path.is_file():
            raise PackageError(f"The package is damaged: {path} is missing.")
        if _sha256(path) != manifest["files"].get(name, {}).get("sha256"):
            raise PackageError(
                f"The package is damaged: {path} has not the sha256 that {MANIFEST} states. "
                "Export or copy it again."
            )
    present = {path.relative_to(directory).as_posix() for path in _walk(directory, format)}
    strangers = sorted(present - expected)
    if strangers:
        raise PackageError(f"The package is damaged: {strangers} are not in {MANIFEST}.")
    if (directory / LABELS).read_text(encoding="utf-8").splitlines() != manifest["classes"]:
        raise PackageError(f"The package is damaged: {MANIFEST} and {LABELS} disagree on classes.")


def _walk(directory: Path, format: str) -> list[Path]:
    root = directory / FORMATS[format]
    return [path for path in root.rglob("*") if path.is_file()] if root.is_dir() else [root]
