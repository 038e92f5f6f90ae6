"""What goes into an exported file and comes out, as `model.json` says it: shapes, ranges, units."""

from typing import Any

from vislearn.export.runtimes import IMAGE
from vislearn.tasks import Diffusion
from vislearn.tasks.base import Signature, Task

CHANNELS = {1: "grey", 3: "RGB"}

# The lowest and the highest value that can occur, None where there is no bound, and the unit.
Quantity = tuple[list[float] | None, str | None]

_PIXELS: Quantity = ([0, 255], "pixel level")
_NORMAL: Quantity = (None, "standard deviations")


def describe_inputs(
    signature: Signature, task: Task, batch: int | None = None, resize: str | None = None
) -> list[dict[str, Any]]:
    """The inputs of a signature as `model.json` keeps them.

    Args:
        signature: What is exported.
        task: Its task.
        batch: Examples a call; None for any number.
        resize: How pictures of another size are fitted.
    """
    quantities = _input_quantities(task)
    found = []
    for input in signature.inputs:
        pixels = input.name == IMAGE and input.dtype == "uint8"
        item = {
            "name": input.name,
            "shape": [batch, *input.shape],
            "dtype": input.dtype,
            "meaning": input.meaning,
            **_fields(_PIXELS if pixels else quantities.get(input.name)),
        }
        if pixels:
            channels = input.shape[-1]
            item["channels"] = CHANNELS.get(channels, f"{channels} channels")
            if resize is not None:
                item["resize"] = resize
        found.append(item)
    return found


def describe_outputs(
    signature: Signature, task: Task, outputs: dict[str, tuple[tuple, str]]
) -> list[dict[str, Any]]:
    """The outputs likewise, from shape and dtype of each by name."""
    quantities = _output_quantities(signature, task, outputs)
    return [
        {
            "name": name,
            "shape": list(shape),
            "dtype": dtype,
            "meaning": signature.meanings.get(name, ""),
            **_fields(_PIXELS if name == signature.shows else quantities.get(name)),
        }
        for name, (shape, dtype) in outputs.items()
    ]


def _fields(quantity: Quantity | None) -> dict[str, Any]:
    bounds, unit = quantity or (None, None)
    return {"range": bounds, "unit": unit}


def _input_quantities(task: Task) -> dict[str, Quantity]:
    """Of those inputs that are no pictures."""
    found = {
        "noise": _NORMAL,
        "latent": _NORMAL,
        IMAGE: (None, "pixel level, scaled to -1..1, with noise"),
        "label": ([0, len(task.classes)], "class number"),
    }
    if isinstance(task, Diffusion):
        found["time"] = ([1, task.train_steps], "step of the noise schedule")
    return found


def _output_quantities(signature: Signature, task: Task, outputs) -> dict[str, Quantity]:
    last = len(task.classes) - 1
    number, share = "class number", [0, 1]
    if task.name == "classification":
        return {"scores": (share, "probability"), "class_id": ([0, last], number)}
    if task.name == "semantic_segmentation":
        return {"mask": ([0, last], number), "confidence": (share, "probability")}
    if task.name == "regression":
        return {"values": (None, "unit of the training targets")}
    if task.name == "detection":
        # Boxes are cut off at the edges of the picture where the network tells its size.
        cut = "image_size" in signature.model.output
        return {
            "boxes": ([0, max(signature.inputs[0].shape[:2])] if cut else None, "pixels"),
            "scores": (share, "score"),
            "classes": ([-1, last], number),
            "count": ([0, outputs["boxes"][0][1]], "detections"),
        }
    return {
        "mean": _NORMAL,
        "log_variance": (None, "logarithm of squared standard deviations"),
        "reconstruction": (share, "share of the highest pixel level"),
        "noise": _NORMAL,
    }
