"""Pictures of what augmentation does to images and to all that is annotated on them."""

from collections.abc import Mapping, Sequence

import numpy as np

from vislearn.pictures.detection import draw_box
from vislearn.pictures.segmentation import mask_colours
from vislearn.pictures.style import (
    CLASS_COLOURS,
    INK,
    NEUTRAL,
    new_figure,
    shorten,
    show_image,
    style,
)

Picture = Mapping[str, np.ndarray]


def augmentation_grid(
    rows: Sequence[Sequence[Picture]],
    classes: Sequence[str],
    *,
    names: Sequence[str] | None = None,
):
    """A row for each image: itself on the left, then what was made of it, with the annotations.

    Boxes, the pixels of objects and key points have the colour of their class; pixels of a
    semantic mask that don't count are grey. Under a mixture of classes stand their shares.

    Args:
        rows: For each image its versions, the original first. A version is a picture's part of a
            batch: `images` uint8 `(height, width, channels)`, and any of `labels`, `targets`,
            `boxes`, `instance_masks`, `keypoints` and `masks` as in `Dataset.arrays`.
        classes: Names of the classes, or of the quantities.
        names: What to write over each row; None for the class or the values of the original, if it
            has any.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is nothing to draw, if the rows differ in length, or if an image is no
            uint8 image.
    """
    if not rows or not rows[0]:
        raise ValueError("rows is empty: there is nothing to draw.")
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"The rows have {[len(row) for row in rows]} pictures; all need as many.")
    if names is None:
        names = [_named(row[0], classes) for row in rows]
    elif len(names) != len(rows):
        raise ValueError(f"names has {len(names)} entries for {len(rows)} rows.")

    # Inches. The original stands apart from its versions.
    side, gap, apart, line = 1.1, 0.05, 0.15, 0.16
    tall = side * max(np.shape(p["images"])[0] / np.shape(p["images"])[1] for p in rows[0])
    head = line if any(names) else 0.0
    foot = line if any(_is_mixture(picture) for row in rows for picture in row) else 0.0
    cell = head + tall + foot + gap
    width = len(rows[0]) * (side + gap) + apart - gap
    height = len(rows) * cell - gap
    with style():
        figure = new_figure(width, height)
        for number, (name, row) in enumerate(zip(names, rows, strict=True)):
            for column, picture in enumerate(row):
                left = column * (side + gap) + (apart if column else 0.0)
                lower = height - number * cell - head - tall
                axes = figure.add_axes((left / width, lower / height, side / width, tall / height))
                axes.set_axis_off()
                _draw(axes, picture, classes)
                if column == 0 and name:
                    axes.set_title(shorten(name, 24), size=7, color=INK, weight="normal", pad=2)
                if _is_mixture(picture):
                    text = _named(picture, classes)
                    axes.text(
                        0.5,
                        -0.02,
                        text,
                        size=6,
                        color=NEUTRAL,
                        ha="center",
                        va="top",
                        transform=axes.transAxes,
                    )
    return figure


def _draw(axes, picture: Picture, classes: Sequence[str]) -> None:
    """One picture with its annotations on it."""
    show_image(axes, picture["images"])
    if "masks" in picture:
        overlay = mask_colours(classes)[np.minimum(picture["masks"], len(classes))]
        axes.imshow(overlay, interpolation="nearest", aspect="equal")
    if "boxes" not in picture:
        return
    for row in np.flatnonzero(picture["labels"] >= 0):
        colour = CLASS_COLOURS[picture["labels"][row] % len(CLASS_COLOURS)]
        if "instance_masks" in picture:
            from matplotlib.colors import to_rgba

            overlay = picture["instance_masks"][row][..., np.newaxis] * np.array(
                to_rgba(colour, 0.5)
            )
            axes.imshow(overlay, interpolation="nearest", aspect="equal")
        draw_box(axes, picture["boxes"][row], colour)
        if "keypoints" in picture:
            x, y, visible = picture["keypoints"][row].T
            # Pixel 0 is drawn from -0.5 to 0.5, and begins at 0 in our coordinates.
            seen = {"s": 6, "color": colour, "edgecolor": "white", "linewidth": 0.5, "zorder": 3}
            axes.scatter(x[visible > 0] - 0.5, y[visible > 0] - 0.5, **seen)


def _is_mixture(picture: Picture) -> bool:
    """Whether the label is shares of the classes in place of the number of one."""
    return "labels" in picture and np.issubdtype(np.asarray(picture["labels"]).dtype, np.floating)


def _named(picture: Picture, classes: Sequence[str]) -> str:
    """`"frog"`, `"frog 70%, cat 30%"` or, of measured quantities, `"age 31.5"`.

    Empty where the picture as a whole has none of them.
    """
    if "targets" in picture:
        values = zip(classes, picture["targets"], strict=True)
        return ", ".join(f"{shorten(name, 10)} {value:.3g}" for name, value in values)
    if "labels" not in picture or "boxes" in picture:
        return ""
    label = np.asarray(picture["labels"])
    if not _is_mixture(picture):
        return classes[label]
    best = [number for number in np.argsort(-label, kind="stable")[:2] if label[number] > 0.005]
    return ", ".join(f"{shorten(classes[number], 10)} {label[number]:.0%}" for number in best)
