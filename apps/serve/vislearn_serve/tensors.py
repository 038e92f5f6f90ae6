"""Tensors as they come in JSON and in bytes, to arrays and back."""

import base64
import binascii
import math
from itertools import chain
from typing import Any

import numpy as np

from vislearn_serve.errors import Refused

# Names of the same type in manifests, in the Open Inference Protocol and in TensorFlow.
OPEN_INFERENCE = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
}
TENSORFLOW = {
    "bool": "DT_BOOL",
    "uint8": "DT_UINT8",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
}


def from_lists(value: Any, item: dict[str, Any]) -> np.ndarray:
    """Nested lists of JSON numbers as the array of an input.

    Nothing is rounded, cut off or taken for a number that is none.

    Args:
        value: A list of examples, each nested as the shape says.
        item: The input in the manifest.

    Raises:
        Refused: If lengths or types are wrong, or a number is out of range.
    """
    name, dtype = item["name"], np.dtype(item["dtype"])
    shape = tuple(item["shape"][1:])
    if type(value) is not list:
        raise Refused(400, f"{name} must be a list of examples.")
    level, count = value, len(value)
    for axis, length in enumerate(shape):
        wrong = [row for row in level if type(row) is not list or len(row) != length]
        if wrong:
            is_list = type(wrong[0]) is list
            found = f"{len(wrong[0])} entries" if is_list else _describe(wrong[0])
            raise Refused(
                400,
                f"{name} must have the shape ({', '.join(['n', *map(str, shape)])}); "
                f"where {length} entries on axis {axis + 1} are due, there is {found}.",
            )
        level = list(chain.from_iterable(level))
    allowed = {"b": {bool}, "f": {int, float}}.get(dtype.kind, {int})
    for kind in {*map(type, level)} - allowed:
        found = _describe(next(number for number in level if type(number) is kind))
        raise Refused(400, f"{name} must hold {dtype.name}, and holds {found}.")
    try:
        with np.errstate(over="ignore"):  # Infinity is refused together with what came as such.
            return np.array(level, dtype).reshape(count, *shape)
    except OverflowError as error:
        raise Refused(400, f"{name} must hold {dtype.name}: {error}.") from error


def from_flat(value: list, shape: tuple[int, ...], item: dict[str, Any]) -> np.ndarray:
    """A flat list of JSON numbers as an array of the shape that the request states."""
    if len(value) != math.prod(shape):
        raise Refused(400, f"{item['name']} has {len(value)} numbers for the shape {list(shape)}.")
    flat = {**item, "shape": [None]}
    return from_lists(value, flat).reshape(shape)


def from_bytes(data: bytes, shape: tuple[int, ...], item: dict[str, Any]) -> np.ndarray:
    """Little-endian bytes, row by row, as an array of the shape that the request states."""
    dtype = np.dtype(item["dtype"]).newbyteorder("<")
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise Refused(400, f"{item['name']} has {len(data)} bytes for {dtype.name} {list(shape)}.")
    return np.frombuffer(data, dtype).reshape(shape).astype(item["dtype"])


def from_base64(text: Any, name: str = "b64") -> bytes:
    """The bytes of a base64 text, which may be a `data:` URI."""
    if type(text) is not str:
        raise Refused(400, f"{name} must be a base64 text, and is {_describe(text)}.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"{name} is no base64: {error}.") from error


def _describe(value: Any) -> str:
    """A JSON value in a few words."""
    kinds = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return kinds.get(type(value)) or str(value)[:40]
