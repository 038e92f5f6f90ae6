"""Pictures of predictions, training curves and confusion matrices, in one restrained style.

Needs matplotlib, and neither Keras nor TensorFlow: a program that only runs an exported package
draws with it too. Every function returns a `matplotlib.figure.Figure` of its own; nothing touches
pyplot, so nothing has to be closed and several threads don't share a current figure.
"""

import base64
import contextlib
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Blue and vermillion of Okabe and Ito (2008): told apart with every kind of colour blindness.
RIGHT = "#0072B2"
WRONG = "#D55E00"
NEUTRAL = "#5F6672"
_INK = "#1F2328"
_FAINT = "#D5D9DF"
_TINTS = {RIGHT: "#BBDCF0", WRONG: "#F6CDB4", NEUTRAL: "#D5D9DF"}
_MARKS = {RIGHT: "✓ ", WRONG: "✗ ", NEUTRAL: ""}

# Of classes, all dark enough to write white on.
_CLASS_COLOURS = (RIGHT, WRONG, "#007A5A", "#A3487B", "#8A6100", "#2E6F95", "#5F6672")

_FORMATS = (".png", ".svg", ".pdf")
_DPI = 150
_LARGEST_SVG = 300_000  # characters; beyond it a PNG is the smaller of the two
_WRITE_COUNTS = 20  # classes up to which a confusion matrix has room for numbers
_NAME_EVERY_CLASS = 120  # classes up to which it has room for every name

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8.0,
    "text.color": _INK,
    "text.parse_math": False,  # a class may well be called "$5 bill"
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": NEUTRAL,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.formatter.use_mathtext": False,
    "axes.grid": False,
    "grid.color": "#ECEEF1",
    "grid.linewidth": 0.8,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": NEUTRAL,
    "ytick.labelcolor": NEUTRAL,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": _DPI,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.1,
    "svg.fonttype": "path",  # looks the same whatever fonts the reader has
    "svg.hashsalt": "vislearn",  # the same figure gives the same file
}


@contextlib.contextmanager
def _style():
    """Our style and nothing of the user's, for what is drawn or saved inside."""
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures need matplotlib: pip install 'vislearn[predict]'."
        ) from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _figure(width: float, height: float):
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def shorten(text: str, length: int) -> str:
    """Cuts a name to `length` characters, the last of them an ellipsis."""
    text = " ".join(str(text).split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def percent(share: float) -> str:
    """A probability as a percentage, which is 0 or 100 only where it is exactly that.

    0.934 gives `"93%"`, 0.9997 gives `">99%"` and 0.0002 gives `"<1%"`.
    """
    if 0 < share <= 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


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

    with _style():
        figure = _figure(width, height)

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
            _show_image(place(left, upper + head, side, side), images[index])
            if bars:
                axes = place(left, upper + head + side + 0.05, side, bars * bar)
                _score_bars(axes, classes, scores[index], best, label, colour)
    return figure


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
    Otherwise each class has a colour.

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
    # Inches. Pictures are as high as the highest of them needs.
    side, gap = 2.3, 0.2
    tall = side * max(image.shape[0] / image.shape[1] for image in images)
    head = 0.0 if titles is None else 0.2
    cell_width, cell_height = side + gap, head + tall + gap
    rows = math.ceil(count / columns)
    width, height = columns * cell_width + gap, rows * cell_height + gap

    with _style():
        figure = _figure(width, height)
        for index, image in enumerate(images):
            left = gap + (index % columns) * cell_width
            upper = gap + (index // columns) * cell_height + head
            frame = (left / width, 1 - (upper + tall) / height, side / width, tall / height)
            axes = figure.add_axes(frame)
            axes.set_axis_off()
            axes.set_anchor("N")
            _show_image(axes, image)
            if titles is not None:
                axes.set_title(shorten(titles[index], 34), size=7, color=NEUTRAL, weight="normal")
            objects = None if truth is None else truth[index]
            _draw_boxes(axes, detections[index], objects, classes)
    return figure


def _draw_boxes(axes, detections, objects, classes):
    """The boxes of one picture, the surest on top; what was missed below them all."""
    boxes, numbers, scores = detections
    colours = [_CLASS_COLOURS[number % len(_CLASS_COLOURS)] for number in numbers]
    if objects is not None:
        from vislearn.metrics.boxes import match

        found = match(boxes, numbers, *objects)
        colours = [RIGHT if row >= 0 else WRONG for row in found]
        for row in np.setdiff1d(np.arange(len(objects[0])), found):
            _draw_box(axes, objects[0][row], WRONG, classes[objects[1][row]], dashed=True)
    for row in reversed(range(len(boxes))):
        text = f"{shorten(classes[numbers[row]], 14)} {percent(scores[row])}"
        _draw_box(axes, boxes[row], colours[row], text)


def _draw_box(axes, box, colour, text, *, dashed=False):
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
    with _style():
        figure = _figure(4.6, 0.5 + 0.2 * len(classes))
        axes = figure.subplots()
        rows = np.arange(len(classes))
        axes.barh(rows, np.nan_to_num(at_half[order]), height=0.8, color=_TINTS[RIGHT])
        axes.barh(rows, np.nan_to_num(mean[order]), height=0.36, color=RIGHT)
        for row, number in enumerate(order):
            known = not np.isnan(mean[number])
            text = f"{mean[number]:.2f}  {at_half[number]:.2f}" if known else "no object"
            axes.text(1.02, row, text, size=6.5, va="center_baseline")
        axes.set_yticks(rows, [shorten(classes[number], 22) for number in order])
        axes.set(xlim=(0, 1), ylim=(len(classes) - 0.5, -0.5))
        axes.tick_params(length=0, labelcolor=_INK)
        figure.tight_layout()
    return figure


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

    colours = _mask_colours(classes)
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

    with _style():
        from matplotlib.patches import Patch

        figure = _figure(width, height)
        for index, image in enumerate(images):
            upper = gap + (index // columns) * cell_height + head
            shown = [None, *(values[index] for _, values in given)]
            for panel, (heading, mask) in enumerate(zip(headings, shown, strict=True)):
                left = gap + (index % columns) * cell_width + panel * (side + between)
                frame = (left / width, 1 - (upper + tall) / height, side / width, tall / height)
                axes = figure.add_axes(frame)
                axes.set_axis_off()
                axes.set_anchor("N")
                _show_image(axes, image if mask is None else _grey(image))
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
                Patch(facecolor=colours[row], edgecolor=_FAINT, label=names[row])
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


def _mask_colours(classes: Sequence[str]) -> np.ndarray:
    """Colour and opacity of each class, and of pixels that don't count: `(classes + 1, 4)`."""
    from matplotlib.colors import hsv_to_rgb, to_rgba

    rows = []
    for number, name in enumerate(classes):
        if name == "background":
            rows.append((0, 0, 0, 0))
        elif number < len(_CLASS_COLOURS):
            rows.append(to_rgba(_CLASS_COLOURS[number], 0.6))
        else:
            # The golden ratio spreads any number of hues evenly.
            rows.append((*hsv_to_rgb((number * 0.618 % 1, 0.8, 0.75)), 0.6))
    return np.array([*rows, to_rgba(NEUTRAL, 0.9)])


def _headline(axes, colour, classes, predicted, label, scores, *, with_score):
    """`✓ frog`, or `✗ frog, is toad`, at the foot of the axes."""
    text = _MARKS[colour] + shorten(classes[predicted], 17)
    if with_score:
        text += " " + percent(scores[predicted])
    if colour == WRONG:
        room = 23 - len(text)
        text += ", is " + shorten(classes[label], max(room, 6))
    ink = _INK if colour == NEUTRAL else colour
    size = 8 if len(text) <= 21 else 8 * 21 / len(text)
    axes.text(0, 0.04, text, color=ink, size=size, weight="bold", va="bottom")


def _score_bars(axes, classes, scores, best, label, colour):
    """The likeliest classes from top to bottom: a bar, the name on it, the percentage beside."""
    axes.set(xlim=(0, 1), ylim=(len(best) - 0.5, -0.5))
    for row, number in enumerate(best):
        tint = _TINTS[colour] if row == 0 else "#E9ECEF"
        axes.barh(row, scores[number], height=0.84, color=tint)
        weight = "bold" if number == label else "normal"
        name = shorten(classes[number], 20)
        axes.text(0.02, row, name, size=6.5, weight=weight, va="center_baseline")
        axes.text(1, row, percent(scores[number]), size=6.5, ha="right", va="center_baseline")


def _show_image(axes, image):
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[:, :, 0]
    if image.dtype != np.uint8 or not (
        image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3)
    ):
        raise ValueError(
            f"An image has the shape {image.shape} and type {image.dtype}; images must be uint8, "
            "(height, width, channels) with one or three channels, or (height, width)."
        )
    # Small images keep their pixels; larger ones are shrunk with smoothing, or they would flicker.
    smooth = "nearest" if max(image.shape[:2]) <= 128 else "antialiased"
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation=smooth, aspect="equal")


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
    with _style():
        figure = _figure(width, height)
        for index, image in enumerate(images):
            row, column = divmod(index, columns)
            left, bottom = column * (wide + gap), height - row * (high + gap) - high
            axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
            axes.set_axis_off()
            _show_image(axes, image)
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

    with _style():
        from matplotlib.ticker import MaxNLocator

        figure = _figure(2.7 * columns, 2.2 * rows)
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

    with _style():
        from matplotlib.colors import LinearSegmentedColormap, PowerNorm

        body = max(cell * count, 1.2)
        width, height = margin + body + 0.9, margin + body + 0.2
        figure = _figure(width, height)
        axes = figure.add_axes((margin / width, margin / height, body / width, body / height))
        colours = LinearSegmentedColormap.from_list(
            "vislearn", ["#FFFFFF", "#BBDCF0", "#4A9CCB", "#0072B2", "#00416A"]
        )
        norm = PowerNorm(0.5, vmin=0, vmax=1)
        shown = axes.imshow(shares, cmap=colours, norm=norm, interpolation="nearest")
        ticks = range(0, count, step)
        axes.set_xticks(ticks, names[::step], rotation=90, size=size)
        axes.set_yticks(ticks, names[::step], size=size)
        axes.tick_params(length=0, pad=3, labelcolor=_INK)
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
                    color="white" if shares[row, column] > 0.2 else _INK,
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


def save(figure, path: str | Path) -> None:
    """Writes a figure; the suffix of the path, .png, .svg or .pdf, chooses the format.

    Raises:
        ValueError: If the suffix is none of these.
        OSError: If the file can't be written.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"path={str(path)!r} must end with one of {_FORMATS}.")
    path.write_bytes(_render(figure, path.suffix.lower()[1:]))


def to_data_uri(figure, *, transparent: bool = False) -> str:
    """The figure as a `data:` URI for an HTML page: SVG, or PNG where the SVG would be large.

    Args:
        figure: What a function of this module returned.
        transparent: Leave out the white background.
    """
    svg = _render(figure, "svg", transparent=transparent)
    if len(svg) <= _LARGEST_SVG:
        return data_uri(svg, "image/svg+xml")
    return data_uri(_render(figure, "png", transparent=transparent), "image/png")


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a `data:` URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _render(figure, format: str, transparent: bool = False) -> bytes:
    # Without the date the same figure gives the same bytes.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}[format]
    file = io.BytesIO()
    with _style():
        figure.savefig(file, format=format, metadata=metadata, transparent=transparent)
    return file.getvalue()
