"""Pictures with measured quantities, and quantities beside their truth."""

import math
from collections.abc import Sequence

import numpy as np

from vislearn.pictures.style import FAINT, NEUTRAL, RIGHT, new_figure, shorten, show_image, style


def value_grid(
    images: Sequence[np.ndarray],
    values: np.ndarray,
    names: Sequence[str],
    *,
    targets: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
):
    """A grid of images, each above its values and, where it is known, the truth.

    Args:
        images: uint8 `(height, width, channels)` with one or three channels.
        values: `(n, quantities)`.
        names: Names of the quantities.
        targets: The true values; None where they are not known.
        titles: A line to write above each image, such as its file name.
        columns: Images in a row; None for up to four.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no image, or if the arguments don't belong together.
    """
    count = len(images)
    if count == 0:
        raise ValueError("images is empty: there is nothing to draw.")
    for argument, found in (("values", values), ("targets", targets)):
        if found is not None and np.shape(found) != (count, len(names)):
            raise ValueError(
                f"{argument} has the shape {np.shape(found)} for {count} images and "
                f"{len(names)} quantities."
            )
    if titles is not None and len(titles) != count:
        raise ValueError(f"titles has {len(titles)} entries for {count} images.")
    columns = min(count, columns or 4)
    rows = math.ceil(count / columns)
    # Inches: an image, the line above it, and the lines below.
    side, gap, line = 1.6, 0.2, 0.16
    head, foot = 0.05 if titles is None else 0.25, 0.1 + line * len(names)
    cell = head + side + foot
    width, height = columns * (side + gap) - gap, rows * cell
    with style():
        figure = new_figure(width, height)
        for index, image in enumerate(images):
            row, column = divmod(index, columns)
            left, bottom = column * (side + gap), height - row * cell - head - side
            axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
            axes.set_axis_off()
            show_image(axes, image)
            if titles is not None:
                axes.set_title(shorten(titles[index], 24))
            for place, name in enumerate(names):
                text = f"{shorten(name, 14)} {values[index][place]:.4g}"
                if targets is not None:
                    text += f"  (true {targets[index][place]:.4g})"
                y = (bottom - 0.05 - place * line) / height
                figure.text(left / width, y, text, va="top", color=NEUTRAL)
    return figure


def value_scatter(values: np.ndarray, targets: np.ndarray, names: Sequence[str]):
    """Answers over the truth, a panel a quantity, with the line on which both are equal.

    Args:
        values, targets: `(n, quantities)`.
        names: Names of the quantities.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no value, or the shapes don't belong together.
    """
    values, targets = np.asarray(values), np.asarray(targets)
    if values.shape != targets.shape or values.ndim != 2 or values.shape[1:] != (len(names),):
        raise ValueError(
            f"values has the shape {values.shape} and targets {targets.shape} for {len(names)} "
            "quantities."
        )
    if len(values) == 0:
        raise ValueError("values is empty: there is nothing to draw.")
    columns = min(len(names), 3)
    rows = math.ceil(len(names) / columns)
    with style():
        figure = new_figure(2.7 * columns, 2.7 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, name, found, true in zip(grid, names, values.T, targets.T, strict=False):
            ends = [min(found.min(), true.min()), max(found.max(), true.max())]
            axes.plot(ends, ends, color=FAINT)
            axes.plot(true, found, ".", color=RIGHT, markersize=4, alpha=0.6)
            axes.set_title(shorten(name, 30))
            axes.set_xlabel("truth")
            axes.set_ylabel("answer")
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        figure.tight_layout(w_pad=2)
    return figure
