"""What goes into an exported file and comes out, as `model.json` says it: shapes, ranges, units."""

from typing import Any

from vislearn.export.runtimes import IMAGE
from vislearn.tasks.base import Meaning, Signature

CHANNELS = {1: "grey", 3: "RGB"}


def describe_inputs(
    signature: Signature, batch: int | None = None, resize: str | None = None
) -> list[dict[str, Any]]:
    """The inputs of a signature as `model.json` keeps them.

    Args:
        signature: What is exported.
        batch: Examples a call; None for any number.
        resize: How pictures of another size are fitted.
    """
    found = []
    for input in signature.inputs:
        item = _item(input.name, (batch, *input.shape), input.dtype, input.meaning)
        if input.name == IMAGE and input.dtype == "uint8":
            channels = input.shape[-1]
            item["channels"] = CHANNELS.get(channels, f"{channels} channels")
            if resize is not None:
                item["resize"] = resize
        found.append(item)
    return found


def describe_outputs(
    signature: Signature, outputs: dict[str, tuple[tuple, str]]
) -> list[dict[str, Any]]:
    """The outputs likewise, from shape and dtype of each by name."""
    return [
        _item(name, shape, dtype, signature.meanings[name])
        for name, (shape, dtype) in outputs.items()
    ]


def _item(name: str, shape: tuple, dtype: str, meaning: Meaning) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(shape),
        "dtype": dtype,
        "meaning": meaning.text,
        "range": None if meaning.range is None else list(meaning.range),
        "unit": meaning.unit,
    }
