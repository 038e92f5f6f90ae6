"""Pictures of what a classifier answers, and of what it confuses."""

import math
from collections.abc import Sequence

import numpy as np

from vislearn.pictures.style import (
    INK,
    MARKS,
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

_WRITE_COUNTS = 20  # classes up to which a confusion matrix has room for numbers
_NAME_EVERY_CLASS = 120  # classes up to which it has room for every name


def prediction_grid(
    images: Sequence[np.ndarray],
    scores: np.ndarray,
    classes: Sequence[str],
    *,
    labels: Sequence[int | None] | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    top: int = 3,
):
    """A grid of images, each with the class predicted for it and the likeliest classes as bars.

    Where the true class is known, a right answer is blue with a tick and a wrong one is vermillion
    with a cross and the true class.

    Args:
        images: uint8 `(height, width, channels)` with one or three channels, or `(height, width)`;
            the sizes may differ. Images of up to 128 pixels are enlarged pixel by pixel.
        scores: `(images, classes)` probabilities, 0 to 1.
        classes: Names of the classes.
        labels: The true class numbers; None, for all or for one, where it is not known.
        titles: A line to write above each image, such as its file name.
        columns: Images in a row; None for up to six.
        top: How many of the likeliest classes to show as bars; 0 for none.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no image, if the arguments don't belong together, if a label is no
            class, or if an image is no uint8 image.
    """
    scores = np.asarray(scores)
    count = len(images)
    if count == 0:
        raise ValueError("images is empty: there is nothing to draw.")
    if scores.shape != (count, len(classes)):
        raise ValueError(
            f"scores has the shape {scores.shape}, and {count} images with {len(classes)} classes "
            f"need {(count, len(classes))}."
        )
    for name, values in (("labels", labels), ("titles", titles)):
        if values is not None and len(values) != count:
            raise ValueError(f"{name} has {len(values)} entries for {count} images.")
    if columns is not None and columns < 1:
        raise ValueError(f"columns={columns!r} must be at least 1, or None.")
    if top < 0:
        raise ValueError(f"top={top!r} must be at least 0.")
    labels = [None] * count if labels is None else labels
    for label in labels:
        if label is not None and not 0 <= label < len(classes):
            raise ValueError(f"labels holds {label}, and the classes are 0 to {len(classes) - 1}.")

    bars = min(top, len(classes))
    columns = min(count, columns or 6)
    rows = math.ceil(count / columns)
    # Inches. Each cell is a headline (two lines where a title comes first), image and bars.
    side, gap, line, bar = 1.5, 0.2, 0.145, 0.155
    head = line * (1 if titles is None else 2) + 0.06
    cell_width, cell_height = side + gap, head + side + 0.05 + bars * bar + gap
    width, height = columns * cell_width + gap, rows * cell_height + gap

    with style():
        figure = new_figure(width, height)

        def place(left, top_edge, wide, high):
            """Axes without a frame, in inches from the upper left corner."""
            box = (left / width, 1 - (top_edge + high) / height, wide / width, high / height)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            return axes

        for index in range(count):
            left = gap + (index % columns) * cell_width
            upper = gap + (index // columns) * cell_height
            best = np.argsort(-scores[index], kind="stable")[: max(bars, 1)]
            label = labels[index]
            colour = NEUTRAL if label is None else RIGHT if best[0] == label else WRONG

            axes = place(left, upper, side, head)
            if titles is not None:
                axes.text(0, 1, shorten(titles[index], 22), color=NEUTRAL, size=7, va="top")
            _headline(axes, colour, classes, best[0], label, scores[index], with_score=not bars)
            show_image(place(left, upper + head, side, side), images[index])
            if bars:
                axes = place(left, upper + head + side + 0.05, side, bars * bar)
                _score_bars(axes, classes, scores[index], best, label, colour)
    return figure


def _headline(axes, colour, classes, predicted, label, scores, *, with_score):
    """`✓ frog`, or `✗ frog, is toad`, at the foot of the axes."""
    text = MARKS[colour] + shorten(classes[predicted], 17)
    if with_score:
        text += " " + percent(scores[predicted])
    if colour == WRONG:
        room = 23 - len(text)
        text += ", is " + shorten(classes[label], max(room, 6))
    ink = INK if colour == NEUTRAL else colour
    size = 8 if len(text) <= 21 else 8 * 21 / len(text)
    axes.text(0, 0.04, text, color=ink, size=size, weight="bold", va="bottom")


def _score_bars(axes, classes, scores, best, label, colour):
    """The likeliest classes from top to bottom: a bar, the name on it, the percentage beside."""
    axes.set(xlim=(0, 1), ylim=(len(best) - 0.5, -0.5))
    for row, number in enumerate(best):
        tint = TINTS[colour] if row == 0 else "#E9ECEF"
        axes.barh(row, scores[number], height=0.84, color=tint)
        weight = "bold" if number == label else "normal"
        name = shorten(classes[number], 20)
        axes.text(0.02, row, name, size=6.5, weight=weight, va="center_baseline")
        axes.text(1, row, percent(scores[number]), size=6.5, ha="right", va="center_baseline")


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str]):
    """A confusion matrix, each row as shares of its true class.

    The colours follow the square root of the share, so that confusions of one per cent still show.
    With up to 20 classes the counts are written into the cells.

    Args:
        matrix: `(classes, classes)` counts, true classes in the rows and predicted ones in the
            columns.
        classes: Names of the classes.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If matrix and classes don't belong together, or a count is negative.
    """
    matrix = np.asarray(matrix)
    count = len(classes)
    if matrix.shape != (count, count) or count == 0:
        raise ValueError(f"matrix has the shape {matrix.shape} for {count} classes.")
    if np.any(matrix < 0):
        raise ValueError("matrix holds negative counts.")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # Inches and points: cells shrink with their number, and names with the cells.
    cell = 0.42 if count <= _WRITE_COUNTS else max(0.1, 8.4 / count)
    cell = cell if count <= _NAME_EVERY_CLASS else 12 / count
    names = [shorten(name, 22) for name in classes]
    step = math.ceil(count / _NAME_EVERY_CLASS)
    size = min(8.0, 72 * cell * step * 0.8)
    margin = 0.5 + size / 72 * 0.62 * max(len(name) for name in names[::step])

    with style():
        from matplotlib.colors import LinearSegmentedColormap, PowerNorm

        body = max(cell * count, 1.2)
        width, height = margin + body + 0.9, margin + body + 0.2
        figure = new_figure(width, height)
        axes = figure.add_axes((margin / width, margin / height, body / width, body / height))
        colours = LinearSegmentedColormap.from_list(
            "vislearn", ["#FFFFFF", "#BBDCF0", "#4A9CCB", "#0072B2", "#00416A"]
        )
        norm = PowerNorm(0.5, vmin=0, vmax=1)
        shown = axes.imshow(shares, cmap=colours, norm=norm, interpolation="nearest")
        ticks = range(0, count, step)
        axes.set_xticks(ticks, names[::step], rotation=90, size=size)
        axes.set_yticks(ticks, names[::step], size=size)
        axes.tick_params(length=0, pad=3, labelcolor=INK)
        axes.set_xlabel("predicted", size=9)
        axes.set_ylabel("true", size=9)
        axes.spines[:].set_visible(True)
        if count <= _WRITE_COUNTS:
            for row, column in zip(*np.nonzero(matrix), strict=True):
                axes.text(
                    column,
                    row,
                    f"{matrix[row, column]:,}",
                    size=7.5 if matrix.max() < 10_000 else 6,
                    color="white" if shares[row, column] > 0.2 else INK,
                    ha="center",
                    va="center_baseline",
                )
        left, tall = (margin + body + 0.15) / width, min(body, 2.5)
        upper = margin + body
        scale = figure.colorbar(
            shown, cax=figure.add_axes((left, (upper - tall) / height, 0.1 / width, tall / height))
        )
        scale.set_ticks([0, 0.01, 0.1, 0.5, 1], labels=["0", "1%", "10%", "50%", "100%"])
        scale.ax.tick_params(length=0, labelsize=7)
        scale.outline.set_visible(False)
        scale.set_label("share of the true class", size=7)
    return figure
