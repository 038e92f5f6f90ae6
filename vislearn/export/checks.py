"""What `export_model` is asked for, checked before anything is written."""

import dataclasses
import difflib
import fnmatch
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from vislearn.data.images import RESIZE_MODES
from vislearn.export.convert import in_float32
from vislearn.export.package import FORMATS, MANIFEST, QUANTIZED, ExportError
from vislearn.export.runtimes import IMAGE, checked_inputs
from vislearn.export.tensors import describe_inputs
from vislearn.tasks.base import Arrays, Signature, Task

# Examples that are drawn to set int8 ranges on, where no images go in.
DRAWN_EXAMPLES = 32


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be written, of arguments that fit together.

    Attributes:
        network: The model in float32.
        task, signature: What it does, and which of the task's functions is written.
        formats: Names of the formats, in the order in which they are written.
        inputs: The inputs as `model.json` keeps them.
        images: Real images to compare the files on; None without any.
        calibration: Inputs that int8 ranges are set on; None without int8.
        validation: Annotated images.
        in_float: Layers that the int8 file leaves in float.
        budget: What a file in fewer bits may lose.
        batch: Examples a call, if they are fixed.
        training: Facts to keep.
    """

    network: keras.Model
    task: Task
    signature: Signature
    formats: list[str]
    inputs: list[dict[str, Any]]
    images: Arrays | None
    calibration: Arrays | None
    validation: Arrays | None
    in_float: list[str]
    budget: float | None
    batch: int | None
    training: dict[str, Any]

    @property
    def takes_images(self) -> bool:
        """Whether pictures go in."""
        return _takes_images(self.inputs)

    @property
    def verb(self) -> str:
        """What the SavedModel calls the signature: `predict` as the task says it."""
        return self.task.verb if self.signature.name == "predict" else self.signature.name


def checked_order(
    model: keras.Model,
    task: Task,
    *,
    signature: str | None,
    formats: Sequence[str],
    quantize: str | Sequence[str] | None,
    keep_float: Sequence[str],
    budget: float | None,
    calibration: np.ndarray | None,
    validation: Arrays | None,
    batch: int | None,
    metadata: dict[str, Any] | None,
    resize: str,
) -> Order:
    """The order, if the arguments of `export_model` are what it says of them.

    Raises:
        ValueError: If one has a wrong type, shape or value, or does not fit the others.
    """
    quantize = [quantize] if isinstance(quantize, str) else [*(quantize or ())]
    wanted_formats = _checked_formats(formats, quantize)
    if batch is not None and batch < 1:
        raise ValueError(f"batch={batch!r} must be None or at least 1.")
    if resize not in RESIZE_MODES:
        raise ValueError(f"resize={resize!r} must be one of {RESIZE_MODES}.")
    _check_task(model, task)
    network = in_float32(model)
    wanted = _signature(task.signatures(network), signature)
    inputs = describe_inputs(wanted, batch, resize)
    images = _checked_images(calibration, inputs, wanted)
    if "int8" not in quantize:
        ranges = None
    elif _takes_images(inputs):
        ranges = images
        if images is None:
            raise ValueError(
                "quantize='int8' needs calibration: real images that show which ranges occur."
            )
    else:  # Other examples than those that the files are compared on.
        ranges = wanted.samples(DRAWN_EXAMPLES, seed=1)
    validation = _checked_validation(validation, inputs, task, wanted)
    _check_budget(budget, quantize, task, wanted, validation)
    return Order(
        network=network,
        task=task,
        signature=wanted,
        formats=wanted_formats,
        inputs=inputs,
        images=images,
        calibration=ranges,
        validation=validation,
        in_float=_checked_layers(keep_float, wanted.model, quantize),
        budget=budget,
        batch=batch,
        training=_checked_metadata(metadata),
    )


def check_target(directory: Path, overwrite: bool) -> None:
    """Finds what an export would destroy.

    Raises:
        FileExistsError: If the folder exists, without `overwrite` or being no exported package.
    """
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


def check_backend() -> None:
    """Finds a backend that can't export.

    Raises:
        ExportError: If Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Export needs TensorFlow, and Keras runs on {keras.backend.backend()}: save the model "
            "as .keras, and export it in a process with KERAS_BACKEND=tensorflow."
        )


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


def _takes_images(inputs: list[dict[str, Any]]) -> bool:
    return [item["name"] for item in inputs] == [IMAGE]


def _checked_formats(formats, quantize: list[str]) -> list[str]:
    allowed = [format for format in FORMATS if format not in QUANTIZED.values()]
    if isinstance(formats, str) or not formats or not {*formats} <= {*allowed}:
        raise ValueError(f"formats={formats!r} must be a non-empty list of some of {allowed}.")
    if not {*quantize} <= {*QUANTIZED}:
        raise ValueError(f"quantize={quantize!r} must be some of {[*QUANTIZED]}.")
    wanted = {*formats, *(QUANTIZED[kind] for kind in quantize)}
    return [format for format in FORMATS if format in wanted]


def _check_task(model: keras.Model, task: Task) -> None:
    """Finds what would otherwise become wrong answers under right names."""
    task.check_model(model)
    broken = [name for name in task.classes if name.splitlines() != [name]]
    if broken:
        raise ValueError(f"task.classes must be one-line names that are not empty: {broken!r}.")


def _checked_images(calibration, inputs: list[dict], signature: Signature) -> Arrays | None:
    if calibration is None:
        return None
    if not _takes_images(inputs):
        raise ValueError(
            f"calibration must be None: {signature.name} takes no images, and is compared on "
            "examples that it draws itself."
        )
    return checked_inputs({IMAGE: calibration}, inputs, argument="calibration")


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


def _check_budget(budget: float | None, quantize, task: Task, signature, validation) -> None:
    if budget is None:
        return
    if not 0 <= budget < 1:
        raise ValueError(f"budget={budget!r} must lie in 0..1, such as 0.01 for a point.")
    if not quantize:
        raise ValueError(f"budget={budget!r} needs quantize: it is about files in fewer bits.")
    if signature.name == "predict" and (validation is None or task.metric is None):
        raise ValueError(
            f"budget={budget!r} needs validation images, on which the metric is measured."
        )


def _checked_validation(validation, inputs, task: Task, signature: Signature) -> Arrays | None:
    if validation is None:
        return None
    if signature.name != "predict":
        raise ValueError(
            f"validation must be None: nothing that {signature.name} answers is measured on "
            "annotated images."
        )
    if not isinstance(validation, dict) or "images" not in validation:
        raise ValueError(
            "validation must be a dictionary of images and annotations, as Dataset.arrays gives it."
        )
    given = {IMAGE: validation["images"]}
    images = checked_inputs(given, inputs, argument="validation['images']")[IMAGE]
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
