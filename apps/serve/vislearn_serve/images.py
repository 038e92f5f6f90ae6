"""Picture files to inputs, and answers to pictures. Runs in threads, not in the event loop."""

import io
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from vislearn import pictures as drawing
from vislearn.data.images import ImageError, fit_image, image_header, plan_fit, read_image
from vislearn.tasks.base import Arrays
from vislearn_serve.errors import Refused
from vislearn_serve.packages import Model

_SHOWN = 640  # longer side of a drawn picture, in pixels
_ONE_AT_A_TIME = threading.Lock()  # matplotlib keeps its style in one place for all threads


def read_pictures(files: Sequence[bytes], channels: int, max_pixels: int) -> list[np.ndarray]:
    """Decodes picture files, after the sizes of all were read from their heads.

    Args:
        files: Bytes of JPEG, PNG, BMP, GIF or WebP files.
        channels: 3 for RGB, 1 for grey.
        max_pixels: Most pixels of all together.

    Returns:
        uint8 `(height, width, channels)` each.

    Raises:
        Refused: If one is no picture or damaged, or if they have too many pixels.
    """
    pictures, left = [], max_pixels
    for number, data in enumerate(files, start=1):
        which = f"Picture {number} of {len(files)}: " if len(files) > 1 else ""
        try:
            header = image_header(data, max_pixels=max_pixels)
            left -= header.width * header.height
            if left < 0:
                raise Refused(
                    413,
                    f"The pictures have more than {max_pixels:,} pixels: the limit of a request.",
                )
            pictures.append(read_image(data, channels=channels, max_pixels=max_pixels))
        except ImageError as error:
            status = 413 if "more than the limit" in error.reason else 400
            raise Refused(status, f"{which}{error.reason}.") from error
    return pictures


def fitted(pictures: Sequence[np.ndarray], item: dict[str, Any]) -> np.ndarray:
    """Pictures of any size as the input of a model, uint8 `(n, height, width, channels)`."""
    size = tuple(item["shape"][1:3])
    return np.stack([fit_image(picture, size, item["resize"]) for picture in pictures])


def decode(files: Sequence[bytes], item: dict[str, Any], max_pixels: int) -> np.ndarray:
    """Picture files as the input of a model."""
    return fitted(read_pictures(files, item["shape"][-1], max_pixels), item)


def records(model: Model, pictures: list[np.ndarray], answers: Arrays, top: int) -> list[dict]:
    """The answer for each picture as JSON values; boxes in the pixels of the picture as sent."""
    found = []
    for index, picture in enumerate(pictures):
        described = model.task.describe(answers, index, top)
        record = model.task.record(answers, None, index, described)
        if "boxes" in answers:
            boxes = _boxes_in(picture, answers["boxes"][index], model)[: len(described)]
            objects = zip(described, boxes.tolist(), strict=True)
            record = {
                "objects": [
                    {"label": label, "score": score, "box": box} for (label, score), box in objects
                ]
            }
        if "mask" in answers:
            mask = answers["mask"][index].astype(np.uint8)
            record["mask"] = drawing.data_uri(
                _png(mask), "image/png"
            )  # The grey values are class numbers.
        found.append(record)
    return found


def draw(
    model: Model,
    pictures: list[np.ndarray],
    answers: Arrays,
    titles: list[str],
    render: Callable[[Any], bytes | str],
) -> bytes | str:
    """A drawing of the pictures with their answers.

    Boxes are drawn on the pictures as sent, other answers on what the model saw of them.

    Args:
        titles: What to write above the pictures where there are several.
        render: From the figure to what is returned, such as `vislearn.pictures.to_png`.

    Raises:
        Refused: If there is nothing to draw about the answers.
    """
    if "boxes" in answers:
        shown = [_reduced(picture) for picture in pictures]
        moved = [_boxes_in(shown[i], answers["boxes"][i], model) for i in range(len(shown))]
        answers = {**answers, "boxes": np.stack(moved)}
    else:
        shown = fitted(pictures, model.inputs[0])
    try:
        with _ONE_AT_A_TIME:
            few = None if len(titles) == 1 else titles
            return render(model.task.draw(shown, answers, None, titles=few))
    except ValueError as error:
        raise Refused(400, str(error)) from error


def _png(pixels: np.ndarray) -> bytes:
    """uint8 `(height, width)` as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _boxes_in(picture: np.ndarray, boxes: np.ndarray, model: Model) -> np.ndarray:
    """Boxes `(n, 4)` xyxy in pixels of the input, in those of the picture."""
    item = model.inputs[0]
    fit = plan_fit(picture.shape[:2], tuple(item["shape"][1:3]), item["resize"])
    height, width = picture.shape[:2]
    corners = (boxes.reshape(-1, 2, 2) - fit.shift) / fit.scale  # (boxes, corners, xy)
    return corners.clip(0, (width, height)).reshape(-1, 4)


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


def grid(pictures: np.ndarray) -> bytes:
    """Pictures side by side, as a PNG."""
    with _ONE_AT_A_TIME:
        return drawing.to_png(drawing.image_grid(pictures))
