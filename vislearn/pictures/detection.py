"""Pictures with boxes."""

import math
from collections.abc import Sequence

import numpy as np

from vislearn.pictures.style import (
    CLASS_COLOURS,
    INK,
    NEUTRAL,
    RIGHT,
    TINTS,
    WRONG,
    new_figure,
    percent,
    shorten,
    show_image,
    style,
)

_TALLEST = 3.0  # height of a picture's place over its width; what is taller is drawn narrower


def detection_grid(
    images: Sequence[np.ndarray],
    detections: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    classes: Sequence[str],
    *,
    truth: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
):
    """A grid of images with the boxes found in them, each with class and score.

    Where the objects are known, a right box (of the same class, intersection over union of 0.5 or
    more) is blue, a wrong one vermillion, and an object that was not found a dashed box.
    Otherwise each class has a colour. An image more than three times as high as wide is drawn
    narrower than the others.

    Args:
        images: uint8 `(height, width, channels)` with one or three channels, or `(height, width)`.
        detections: For each image boxes `(n, 4)` as x1, y1, x2, y2 in its pixels, class numbers
            `(n,)` and scores `(n,)`.
        classes: Names of the classes.
        truth: For each image boxes `(m, 4)` and class numbers `(m,)`; None where not known.
        titles: A line to write above each image, such as its file name.
        columns: Images in a row; None for up to four.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no image, if the arguments don't belong together, if a class number
            is none of a class, or if an image is no uint8 image.
    """
    count = len(images)
    if count == 0:
        raise ValueError("images is empty: there is nothing to draw.")
    for name, values in (("detections", detections), ("truth", truth), ("titles", titles)):
        if values is not None and len(values) != count:
            raise ValueError(f"{name} has {len(values)} entries for {count} images.")
    if columns is not None and columns < 1:
        raise ValueError(f"columns={columns!r} must be at least 1, or None.")
    for name, values in (("detections", detections), ("truth", truth or [])):
        for boxes, numbers, *_ in values:
            numbers = np.asarray(numbers)
            if np.shape(boxes) != (len(numbers), 4):
                raise ValueError(
                    f"{name} has boxes of shape {np.shape(boxes)} for {len(numbers)} classes."
                )
            if np.any((numbers < 0) | (numbers >= len(classes))):
                raise ValueError(
                    f"{name} holds {numbers.tolist()}, and the classes are 0 to {len(classes) - 1}."
                )

    columns = min(count, columns or 4)
    # Inches. Pictures are as high as the highest of them needs, within bounds: a strip of 1 x 3000
    # pixels would make the figure as high as a house.
    side, gap = 2.3, 0.2
    tall = side * min(max(image.shape[0] / image.shape[1] for image in images), _TALLEST)
    head = 0.0 if titles is None else 0.2
    cell_width, cell_height = side + gap, head + tall + gap
    rows = math.ceil(count / columns)
    width, height = columns * cell_width + gap, rows * cell_height + gap

    with style():
        figure = new_figure(width, height)
        for index, image in enumerate(images):
            left = gap + (index % columns) * cell_width
            upper = gap + (index // columns) * cell_height + head
            frame = (left / width, 1 - (upper + tall) / height, side / width, tall / height)
            axes = figure.add_axes(frame)
            axes.set_axis_off()
            axes.set_anchor("N")
            show_image(axes, image)
            if titles is not None:
                axes.set_title(shorten(titles[index], 34), size=7, color=NEUTRAL, weight="normal")
            objects = None if truth is None else truth[index]
            _draw_boxes(axes, detections[index], objects, classes)
    return figure


def _draw_boxes(axes, detections, objects, classes):
    """The boxes of one picture, the surest on top; what was missed below them all."""
    boxes, numbers, scores = detections
    colours = [CLASS_COLOURS[number % len(CLASS_COLOURS)] for number in numbers]
    if objects is not None:
        from vislearn.metrics.boxes import match

        found = match(boxes, numbers, *objects)
        colours = [RIGHT if row >= 0 else WRONG for row in found]
        for row in np.setdiff1d(np.arange(len(objects[0])), found):
            draw_box(axes, objects[0][row], WRONG, classes[objects[1][row]], dashed=True)
    for row in reversed(range(len(boxes))):
        text = f"{shorten(classes[numbers[row]], 14)} {percent(scores[row])}"
        draw_box(axes, boxes[row], colours[row], text)


def draw_box(axes, box, colour, text="", *, dashed=False):
    """An xyxy box in the pixels of the image that the axes show, with its text on a flag."""
    from matplotlib.patches import Rectangle

    # Pixel 0 is drawn from -0.5 to 0.5, and boxes lie between the edges of pixels.
    x1, y1, x2, y2 = np.asarray(box, float) - 0.5
    style = (0, (3, 2)) if dashed else "-"
    left, right = axes.get_xlim()
    above = y1 > 0.05 * (right - left)  # Is there room for the text?
    axes.add_patch(
        Rectangle(
            (x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.2, linestyle=style
        )
    )
    if not text:
        return
    axes.text(
        max(x1, left),
        y1 if above else max(y1, 0.0),
        text,
        size=5.5,
        color=colour if dashed else "white",
        va="bottom" if above else "top",
        clip_on=True,
        bbox={"facecolor": "white" if dashed else colour, "edgecolor": "none", "pad": 0.8},
    )


def precision_bars(at_half: np.ndarray, mean: np.ndarray, classes: Sequence[str]):
    """Average precision of each class: pale at an intersection over union of 0.5, dark the mean.

    Args:
        at_half: `(classes,)` average precision at 0.5, 0 to 1; NaN for a class without objects.
        mean: `(classes,)` the mean over the thresholds from 0.5 to 0.95.
        classes: Names of the classes.

    Returns:
        A `matplotlib.figure.Figure`, the best class on top.

    Raises:
        ValueError: If the arguments don't belong together.
    """
    at_half, mean = np.asarray(at_half, float), np.asarray(mean, float)
    if not len(classes) or at_half.shape != (len(classes),) or mean.shape != at_half.shape:
        raise ValueError(
            f"at_half and mean have the shapes {at_half.shape} and {mean.shape} for "
            f"{len(classes)} classes."
        )
    order = np.argsort(-np.nan_to_num(mean, nan=-1), kind="stable")
    with style():
        figure = new_figure(4.6, 0.5 + 0.2 * len(classes))
        axes = figure.subplots()
        rows = np.arange(len(classes))
        axes.barh(rows, np.nan_to_num(at_half[order]), height=0.8, color=TINTS[RIGHT])
        axes.barh(rows, np.nan_to_num(mean[order]), height=0.36, color=RIGHT)
        for row, number in enumerate(order):
            known = not np.isnan(mean[number])
            text = f"{mean[number]:.2f}  {at_half[number]:.2f}" if known else "no object"
            axes.text(1.02, row, text, size=6.5, va="center_baseline")
        axes.set_yticks(rows, [shorten(classes[number], 22) for number in order])
        axes.set(xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5))
        axes.tick_params(length=0, labelcolor=INK)
        figure.tight_layout()
    return figure
