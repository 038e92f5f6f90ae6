"""What `model.json` has to say, key by key: whoever has read one may rely on all of it."""

import math
import re
from pathlib import PurePosixPath
from typing import Any

from vislearn.data.images import RESIZE_MODES

# Each format, and the file or folder that holds it.
FORMATS = {
    "savedmodel": "savedmodel/1",
    "litert": "model.tflite",
    "litert_float16": "model_float16.tflite",
    "litert_dynamic": "model_dynamic.tflite",
    "litert_int8": "model_int8.tflite",
    "onnx": "model.onnx",
}
DTYPES = ("uint8", "int32", "float32")

_NAMES = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
_NONE = type(None)

# The types that each key may have; `float` takes whole numbers, too.
_KEYS = {
    "name": (str,),
    "task": (str,),
    "family": (str, _NONE),
    "task_options": (dict,),
    "signature": (str,),
    "shows": (str, _NONE),
    "classes": (list,),
    "inputs": (list,),
    "outputs": (list,),
    "formats": (list,),
    "files": (dict,),
    "notes": (list,),
    "versions": (dict,),
    "created": (str,),
    "measured_on": (str,),
    "training": (dict,),
}
# What older packages do not say.
_LATER = {
    "batch": (int, _NONE),
    "keep_float": (list,),
    "savedmodel_signatures": (list,),
}
_TENSOR = {"name": (str,), "shape": (list,), "dtype": (str,), "meaning": (str,)}
_TENSOR_LATER = {"range": (list, _NONE), "unit": (str, _NONE)}
_FORMAT = {
    "format": (str,),
    "file": (str,),
    "size": (int,),
    "max_difference": (dict,),
    "agreement": (float, _NONE),
    "metrics": (dict, _NONE),
    "latency_ms": (float,),
}
_FILE = {"size": (int,), "sha256": (str,)}


def check_manifest(manifest: dict[str, Any]) -> None:
    """Finds what a reader could stumble over.

    Args:
        manifest: The content of `model.json`, whose format version is known to be right.

    Raises:
        ValueError: If a key is missing, or its value is not what it has to be; the message names
            both and the rule.
    """
    _check_keys(manifest, _KEYS, _LATER)
    for key in ("classes", "notes", "keep_float", "savedmodel_signatures"):
        _check_texts(manifest, key)
    _rule(bool(manifest["name"]), "name", manifest["name"], "must not be empty")
    classes, batch = manifest["classes"], manifest.get("batch")
    _rule(len({*classes}) == len(classes), "classes", classes, "must hold no name twice")
    _rule(batch is None or batch > 0, "batch", batch, "must be at least 1, or null")
    for kind in ("inputs", "outputs"):
        _check_tensors(manifest, kind, batch)
    outputs = [item["name"] for item in manifest["outputs"]]
    shows = manifest["shows"]
    _rule(shows is None or shows in outputs, "shows", shows, f"must be one of {outputs}, or null")
    for name, about in manifest["files"].items():
        _check_file(name, about)
    _check_formats(manifest)


def _rule(kept: bool, key: str, value: Any, rule: str) -> None:
    if not kept:
        raise ValueError(f"{key}={value!r} {rule}.")


def _is(value: Any, kinds: tuple) -> bool:
    if isinstance(value, bool):
        return False
    if float in kinds and isinstance(value, int):
        return True
    return isinstance(value, kinds)


def _check_keys(table: Any, needed: dict, later: dict, where: str = "") -> None:
    """Whether a table holds these keys, with values of their types."""
    prefix = f"{where}." if where else ""
    _rule(isinstance(table, dict), where, table, "must be a table")
    missing = sorted({*needed} - {*table})
    if missing:
        raise ValueError(f"it lacks {[prefix + key for key in missing]}.")
    for key, kinds in {**needed, **later}.items():
        if key in table and not _is(table[key], kinds):
            allowed = " or ".join(_NAMES.get(kind, "null") for kind in kinds)
            _rule(False, prefix + key, table[key], f"must be {allowed}")


def _check_texts(manifest: dict, key: str) -> None:
    values = manifest.get(key, [])
    _rule(all(isinstance(value, str) for value in values), key, values, "must hold texts")


def _check_tensors(manifest: dict, kind: str, batch: int | None) -> None:
    items = manifest[kind]
    _rule(bool(items), kind, items, "must name at least one")
    for number, item in enumerate(items):
        where = f"{kind}[{number}]"
        _check_keys(item, _TENSOR, _TENSOR_LATER, where)
        shape, dtype, bounds = item["shape"], item["dtype"], item.get("range")
        sizes = shape[1:]
        _rule(
            shape[:1] == [batch] and all(_is(size, (int,)) and size > 0 for size in sizes),
            f"{where}.shape",
            shape,
            f"must begin with batch={batch} and go on with numbers of at least 1",
        )
        _rule(dtype in DTYPES, f"{where}.dtype", dtype, f"must be one of {DTYPES}")
        if bounds is not None:
            _rule(
                len(bounds) == 2
                and all(_is(bound, (float,)) and math.isfinite(bound) for bound in bounds)
                and bounds[0] <= bounds[1],
                f"{where}.range",
                bounds,
                "must be the lowest and the highest value, or null",
            )
        if kind == "inputs" and item["name"] == "image" and dtype == "uint8":
            _rule(len(sizes) == 3, f"{where}.shape", shape, "must be one of pictures")
            _check_keys(item, {"resize": (str,)}, {}, where)
            mode = item["resize"]
            _rule(mode in RESIZE_MODES, f"{where}.resize", mode, f"must be one of {RESIZE_MODES}")
    names = [item["name"] for item in items]
    _rule(len({*names}) == len(names), kind, names, "must hold no name twice")


def _check_file(name: str, about: Any) -> None:
    path = PurePosixPath(name)
    inside = name == str(path) and not path.is_absolute() and ".." not in path.parts
    _rule(inside and "\\" not in name, "files", name, "must be a path inside the package")
    where = f"files[{name!r}]"
    _check_keys(about, _FILE, {}, where)
    _rule(about["size"] >= 0, f"{where}.size", about["size"], "must be at least 0")
    digest = about["sha256"]
    is_digest = re.fullmatch("[0-9a-f]{64}", digest) is not None
    _rule(is_digest, f"{where}.sha256", digest, "must be 64 hexadecimal digits")


def _check_formats(manifest: dict) -> None:
    """What was measured of each format: of all of them the same."""
    rows = manifest["formats"]
    _rule(bool(rows), "formats", rows, "must name at least one")
    for number, row in enumerate(rows):
        where = f"formats[{number}]"
        _check_keys(row, _FORMAT, {}, where)
        format, file, metrics = row["format"], row["file"], row["metrics"]
        _rule(format in FORMATS, f"{where}.format", format, f"must be one of {[*FORMATS]}")
        _rule(file == FORMATS[format], f"{where}.file", file, f"must be {FORMATS[format]!r}")
        listed = any(name == file or name.startswith(f"{file}/") for name in manifest["files"])
        _rule(listed, f"{where}.file", file, "must be among the files")
        gaps = row["max_difference"]
        _rule(bool(gaps), f"{where}.max_difference", gaps, "must name at least one output")
        first = rows[0]["metrics"]
        same = (metrics is None) == (first is None) and {*(metrics or {})} == {*(first or {})}
        _rule(same, f"{where}.metrics", metrics, "must have the names of the first format's")
        for key, table in (("max_difference", gaps), ("metrics", metrics or {})):
            numbers = all(_is(value, (float,)) for value in table.values())
            _rule(numbers, f"{where}.{key}", table, "must hold numbers")
    names = [row["format"] for row in rows]
    _rule(len({*names}) == len(names), "formats", names, "must hold no name twice")
