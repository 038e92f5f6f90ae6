"""Pictures with a class for each pixel."""

import math
from collections.abc import Sequence

import numpy as np

from vislearn.pictures.style import (
    CLASS_COLOURS,
    FAINT,
    NEUTRAL,
    new_figure,
    shorten,
    show_image,
    style,
)


def segmentation_grid(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    classes: Sequence[str],
    *,
    true_masks: Sequence[np.ndarray] | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
):
    """A grid of images, each beside itself under the colours of its classes, and their legend.

    Where the truth is known it stands between the two. A class of the name "background" is left
    clear; pixels of the number 255, which don't count, are grey.

    Args:
        images: uint8 `(height, width, channels)` with one or three channels, or `(height, width)`.
        masks: For each image the class numbers `(height, width)`.
        classes: Names of the classes.
        true_masks: The true class numbers; None where they are not known.
        titles: A line to write above each image, such as its file name.
        columns: Images in a row; None for up to three.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no image, if the arguments don't belong together, if a number is
            none of a class, or if an image is no uint8 image.
    """
    count = len(images)
    if count == 0:
        raise ValueError("images is empty: there is nothing to draw.")
    for name, values in (("masks", masks), ("true_masks", true_masks), ("titles", titles)):
        if values is not None and len(values) != count:
            raise ValueError(f"{name} has {len(values)} entries for {count} images.")
    if columns is not None and columns < 1:
        raise ValueError(f"columns={columns!r} must be at least 1, or None.")
    given = [("masks", masks)]
    if true_masks is not None:
        given.insert(0, ("true_masks", true_masks))
    for name, values in given:
        for image, mask in zip(images, values, strict=True):
            if np.shape(mask) != np.shape(image)[:2]:
                raise ValueError(
                    f"{name} has a mask of shape {np.shape(mask)} for an image of "
                    f"{np.shape(image)[:2]}."
                )
    present = sorted({*np.concatenate([np.unique(mask) for _, all in given for mask in all])})
    if unknown := [
        int(number) for number in present if not (0 <= number < len(classes) or number == 255)
    ]:
        raise ValueError(f"A mask holds {unknown}, and the classes are 0 to {len(classes) - 1}.")

    colours = mask_colours(classes)
    headings = ("image", "answer") if true_masks is None else ("image", "truth", "answer")
    panels = len(headings)
    columns = min(count, columns or 3)
    rows = math.ceil(count / columns)
    # Inches. The panels of an image stand close together.
    side, gap, between = 1.2, 0.2, 0.04
    tall = side * max(image.shape[0] / image.shape[1] for image in images)
    head, legend = (0.15 if titles is None else 0.3), 0.3
    cell_width, cell_height = panels * (side + between) + gap, head + tall + gap
    width, height = columns * cell_width + gap, rows * cell_height + gap + legend

    with style():
        from matplotlib.patches import Patch

        figure = new_figure(width, height)
        for index, image in enumerate(images):
            upper = gap + (index // columns) * cell_height + head
            shown = [None, *(values[index] for _, values in given)]
            for panel, (heading, mask) in enumerate(zip(headings, shown, strict=True)):
                left = gap + (index % columns) * cell_width + panel * (side + between)
                frame = (left / width, 1 - (upper + tall) / height, side / width, tall / height)
                axes = figure.add_axes(frame)
                axes.set_axis_off()
                axes.set_anchor("N")
                show_image(axes, image if mask is None else _grey(image))
                if mask is not None:
                    overlay = colours[np.minimum(mask, len(classes))]  # the last row is for 255
                    axes.imshow(overlay, interpolation="nearest", aspect="equal")
                text = heading
                if titles is not None and panel == 0:
                    text = shorten(titles[index], 22) + "\n" + heading
                axes.set_title(text, size=6.5, color=NEUTRAL, weight="normal", pad=2)
        names = [*(shorten(name, 22) for name in classes), "doesn't count"]
        figure.legend(
            handles=[
                Patch(facecolor=colours[row], edgecolor=FAINT, label=names[row])
                for row in (min(int(number), len(classes)) for number in present)
            ],
            loc="lower center",
            ncols=max(1, min(len(present), int(width / 1.1))),
            fontsize=7,
        )
    return figure


def _grey(image) -> np.ndarray:
    """The image without colours, so that those laid over it are the same everywhere."""
    image = np.asarray(image)
    if image.ndim == 2:
        return image
    return np.round(image.mean(axis=-1)).astype(image.dtype)  # refused later if it is not uint8


def mask_colours(classes: Sequence[str]) -> np.ndarray:
    """Colour and opacity of each class, and of pixels that don't count: `(classes + 1, 4)`."""
    from matplotlib.colors import hsv_to_rgb, to_rgba

    rows = []
    for number, name in enumerate(classes):
        if name == "background":
            rows.append((0, 0, 0, 0))
        elif number < len(CLASS_COLOURS):
            rows.append(to_rgba(CLASS_COLOURS[number], 0.6))
        else:
            # The golden ratio spreads any number of hues evenly.
            rows.append((*hsv_to_rgb((number * 0.618 % 1, 0.8, 0.75)), 0.6))
    return np.array([*rows, to_rgba(NEUTRAL, 0.9)])
