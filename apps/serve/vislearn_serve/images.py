"""Picture files to inputs, and answers to pictures. Runs in threads, not in the event loop."""

import dataclasses
import io
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from vislearn import pictures as drawing
from vislearn.data.images import (
    ImageError,
    ImageTooLarge,
    fit_image,
    image_header,
    plan_fit,
    read_image,
)
from vislearn.tasks.base import Arrays
from vislearn.tasks.detection import SHOWN
from vislearn_serve.errors import Refused
from vislearn_serve.memory import Pixels, Share
from vislearn_serve.packages import Model

_TOP = 5  # answers a picture, unless more are asked for
_SHOWN = 640  # longer side of a drawn picture, in pixels
# Bytes that a square inch of a figure takes, at its 150 dots an inch of four bytes: matplotlib lays
# out one copy, and writes another.
_SQUARE_INCH = 2 * 4 * 150**2
_ONE_AT_A_TIME = threading.Lock()  # matplotlib keeps its style in one place for all threads


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What is kept of picture files: at full size they would fill the memory.

    Attributes:
        inputs: As the model takes them, uint8 `(n, height, width, channels)`.
        sizes: `(height, width)` of each as it was sent.
        reduced: Each in its own proportions and at most 640 pixels long, for boxes to be drawn on;
            None where none are.
    """

    inputs: np.ndarray
    sizes: list[tuple[int, int]]
    reduced: list[np.ndarray] | None = None


def read(
    files: Sequence[bytes], model: Model, max_pixels: int, turns: Pixels, share: Share, keep: bool
) -> Pictures:
    """Decodes picture files one by one, after the sizes of all were read from their heads.

    Args:
        files: Bytes of JPEG, PNG, BMP, GIF or WebP files.
        model: What they are for.
        max_pixels: Most pixels of all together.
        turns: What bounds the pixels of all requests that are decoded at a time.
        share: The memory of the request; that of the inputs is taken already.
        keep: Whether they are to be drawn.

    Raises:
        Refused: If one is no picture or damaged, if they have too many pixels, or if there is no
            memory for them.
    """
    item, pixels = model.inputs[0], []
    names = [f"Picture {n} of {len(files)}: " for n in range(1, len(files) + 1)]
    names = names if len(files) > 1 else [""]
    for name, data in zip(names, files, strict=True):
        header = _asked(name, image_header, data, max_pixels=max_pixels)
        pixels.append(header.width * header.height)
        if sum(pixels) > max_pixels:
            text = f"The pictures have more than {max_pixels:,} pixels: the limit of a request."
            raise Refused(413, text)
    size, channels = tuple(item["shape"][1:3]), item["shape"][-1]
    inputs = np.empty((len(files), *size, channels), np.uint8)
    sizes, reduced = [], [] if keep and model.answers_boxes else None
    for index, (name, data) in enumerate(zip(names, files, strict=True)):
        share.take(0)  # Nothing is decoded for a request that is over.
        with turns.decoding(pixels[index]):
            picture = _asked(name, read_image, data, channels=channels, max_pixels=max_pixels)
            inputs[index] = fit_image(picture, size, model.resize)
            sizes.append(picture.shape[:2])
            if reduced is not None:
                reduced.append(_reduced(picture))
                share.take(reduced[-1].nbytes)
            del picture
    return Pictures(inputs, sizes, reduced)


def _asked(name: str, function: Callable, data: bytes, **options):
    """What a function says of a picture file; what it finds wrong becomes a refusal."""
    try:
        return function(data, **options)
    except ImageError as error:
        status = 413 if isinstance(error, ImageTooLarge) else 400
        raise Refused(status, f"{name}{error.reason}.") from error


def records(
    model: Model, sizes: Sequence[tuple[int, int]], answers: Arrays, top: int | None
) -> list[dict]:
    """The answer for each picture as JSON values; boxes in the pixels of the picture as sent.

    Args:
        top: Answers a picture; None for five, and for every object that would be drawn.

    Raises:
        Refused: If there is nothing to say about the answers.
    """
    found = []
    for index, size in enumerate(sizes):
        try:
            if model.answers_boxes:
                record = {"objects": _objects(model, size, answers, index, top)}
            else:
                described = model.task.describe(answers, index, top or _TOP)
                record = model.task.record(answers, None, index, described)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        if "mask" in answers:
            mask = answers["mask"][index].astype(np.uint8)
            record["mask"] = drawing.data_uri(
                _png(mask), "image/png"
            )  # The grey values are class numbers.
        found.append(record)
    return found


def _objects(
    model: Model, size: tuple[int, int], answers: Arrays, index: int, top: int | None
) -> list[dict]:
    """The objects in a picture that are drawn, the surest first."""
    count = int(np.count_nonzero(answers["scores"][index, : answers["count"][index]] >= SHOWN))
    described = model.task.describe(answers, index, count if top is None else min(count, top))
    boxes = _boxes_in(size, answers["boxes"][index, : len(described)], model)
    objects = zip(described, boxes.tolist(), strict=True)
    return [{"label": label, "score": score, "box": box} for (label, score), box in objects]


def draw(
    model: Model,
    pictures: Pictures,
    answers: Arrays,
    titles: list[str],
    render: Callable[[Any], bytes | str],
    share: Share,
) -> bytes | str:
    """A drawing of the pictures with their answers.

    Boxes are drawn on the pictures as sent, other answers on what the model saw of them.

    Args:
        titles: What to write above the pictures where there are several.
        render: From the figure to what is returned, such as `vislearn.pictures.to_png`.
        share: The memory of the request.

    Raises:
        Refused: If there is nothing to draw about the answers, or no memory for the drawing.
    """
    shown = pictures.inputs
    if pictures.reduced is not None:
        shown = pictures.reduced
        moved = [
            _boxes_in(one.shape[:2], answers["boxes"][i], model) for i, one in enumerate(shown)
        ]
        answers = {**answers, "boxes": np.stack(moved)}
    try:
        with _ONE_AT_A_TIME:
            few = None if len(titles) == 1 else titles
            figure = model.task.draw(shown, answers, None, titles=few)
            _charge(figure, share)
            return render(figure)
    except ValueError as error:
        raise Refused(400, str(error)) from error


def _charge(figure, share: Share) -> None:
    """Takes the memory of a drawing, before it is rendered."""
    width, height = figure.get_size_inches()
    share.take(math.ceil(width * height * _SQUARE_INCH))


def _png(pixels: np.ndarray) -> bytes:
    """uint8 `(height, width)` as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _boxes_in(size: tuple[int, int], boxes: np.ndarray, model: Model) -> np.ndarray:
    """Boxes `(n, 4)` xyxy in pixels of the input, in those of a picture of `(height, width)`."""
    fit = plan_fit(size, tuple(model.inputs[0]["shape"][1:3]), model.resize)
    return fit.boxes_back(boxes, size)


def _reduced(picture: np.ndarray) -> np.ndarray:
    """The picture itself, or a smaller one of the same proportions."""
    height, width = picture.shape[:2]
    scale = _SHOWN / max(height, width)
    if scale >= 1:
        return picture
    return fit_image(
        picture, (max(round(height * scale), 1), max(round(width * scale), 1)), "stretch"
    )


def noise(model: Model, count: int, seed: int, label: str | None) -> Arrays:
    """What goes into a model that makes pictures.

    Raises:
        Refused: If it knows no such class.
    """
    from vislearn.export.generation import noise_inputs

    try:
        return noise_inputs(model, count, seed, label)
    except ValueError as error:
        raise Refused(400, str(error)) from error


def grid(pictures: np.ndarray, share: Share) -> bytes:
    """Pictures side by side, as a PNG.

    Raises:
        Refused: If there is no memory for the drawing.
    """
    with _ONE_AT_A_TIME:
        figure = drawing.image_grid(pictures)
        _charge(figure, share)
        return drawing.to_png(figure)
