"""Curves of a training, and grids of pictures that a network made."""

import math
from collections.abc import Sequence

import numpy as np

from vislearn.pictures.style import NEUTRAL, RIGHT, new_figure, show_image, style


def image_grid(images: Sequence[np.ndarray], *, columns: int | None = None):
    """Images of one size side by side, without words: samples, reconstructions.

    Args:
        images: uint8 `(height, width, channels)` with one or three channels, or `(height, width)`.
            Images of up to 128 pixels are enlarged pixel by pixel.
        columns: Images in a row; None for as many as rows, up to twelve.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no image, if their sizes differ, if `columns` is less than 1, or if
            an image is no uint8 image.
    """
    count = len(images)
    if count == 0:
        raise ValueError("images is empty: there is nothing to draw.")
    shapes = sorted({np.shape(image) for image in images})
    if len(shapes) > 1:
        raise ValueError(f"images have the shapes {shapes}: a grid needs one size.")
    if columns is not None and columns < 1:
        raise ValueError(f"columns={columns!r} must be at least 1, or None.")
    columns = min(count, columns or min(12, math.ceil(math.sqrt(count))))
    rows = math.ceil(count / columns)
    # Inches: the longer side of an image, and the white between two.
    side, gap = 0.8, 0.04
    scale = side / max(shapes[0][:2])
    high, wide = (scale * pixels for pixels in shapes[0][:2])
    width, height = columns * (wide + gap) - gap, rows * (high + gap) - gap
    with style():
        figure = new_figure(width, height)
        for index, image in enumerate(images):
            row, column = divmod(index, columns)
            left, bottom = column * (wide + gap), height - row * (high + gap) - high
            axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
            axes.set_axis_off()
            show_image(axes, image)
    return figure


def curves(history: Sequence[dict[str, float]]):
    """Loss, metrics and learning rate over the epochs, training beside validation.

    Args:
        history: A dictionary an epoch. `epoch` (from 1) and `seconds` are not drawn; `val_x` is
            drawn beside `x`; every other key has a panel of its own.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the history is empty or holds nothing to draw.
    """
    if not history:
        raise ValueError("history is empty: there is no epoch to draw.")
    measured = [key for key in history[0] if key not in ("epoch", "seconds", "learning_rate")]
    panels = [key for key in measured if not key.startswith("val_")]
    panels += [key for key in measured if key.startswith("val_") and key[4:] not in panels]
    panels += [key for key in history[0] if key == "learning_rate"]
    if not panels:
        raise ValueError(f"history has the keys {list(history[0])}: nothing of it can be drawn.")
    epochs = [row.get("epoch", index + 1) for index, row in enumerate(history)]
    panels.sort(key=lambda key: key != "loss")
    columns = len(panels) if len(panels) <= 4 else 3
    rows = math.ceil(len(panels) / columns)

    with style():
        from matplotlib.ticker import MaxNLocator

        figure = new_figure(2.7 * columns, 2.2 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        marker = {"marker": "o", "markersize": 3} if len(history) <= 12 else {}
        for axes, key in zip(grid, panels, strict=False):
            values = [row.get(key, math.nan) for row in history]
            if key == "learning_rate":
                axes.plot(epochs, values, color=NEUTRAL, **marker)
            else:
                axes.plot(epochs, values, color=NEUTRAL, linestyle=(0, (4, 1.5)), **marker)
            if f"val_{key}" in measured:
                values = [row.get(f"val_{key}", math.nan) for row in history]
                axes.plot(epochs, values, color=RIGHT, linewidth=2, **marker)
            axes.set_title(key.replace("_", " "))
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            if len(history) == 1:
                axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        if any(f"val_{key}" in measured for key in panels):
            grid[0].legend(["training", "validation"])
        figure.tight_layout(w_pad=2)
    return figure
