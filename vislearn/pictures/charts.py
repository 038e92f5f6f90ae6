"""Lines, points and images with names: the pictures of experiments."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from vislearn.pictures.style import CLASS_COLOURS, INK, NEUTRAL, new_figure, show_image, style


@dataclasses.dataclass(frozen=True)
class Panel:
    """One coordinate system of a chart.

    Attributes:
        title, x, y: What stands above it and at its axes.
        lines: For each name in the legend, where x and y are.
        points: For each name, x and y of points that are not connected; those of a line's name
            have its colour.
        log: Which axes are logarithmic: `""`, `"x"`, `"y"` or `"xy"`.
        limits: Range of the y-axis, or None.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]] = dataclasses.field(
        default_factory=dict
    )
    log: str = ""
    limits: tuple[float, float] | None = None


def chart(*panels: Panel, columns: int | None = None, height: float = 2.5):
    """Panels side by side. A name has one colour in all of them.

    Args:
        *panels: What to draw.
        columns: Panels in a row; None for up to three.
        height: Of a row, in inches.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no panel, or more than seven names.
    """
    if not panels:
        raise ValueError("panels is empty: there is nothing to draw.")
    lines = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    points = dict.fromkeys(name for panel in panels for name in panel.points if name not in lines)
    names = [*lines, *points]
    if len(names) > len(CLASS_COLOURS):
        raise ValueError(f"There are {len(names)} names, and only {len(CLASS_COLOURS)} colours.")
    colours = dict(zip(names, CLASS_COLOURS, strict=False))
    if len(points) == 1:  # Most often the samples to which lines were fitted.
        colours |= dict.fromkeys(points, INK)
    columns = columns or min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    with style():
        figure = new_figure(3.2 * columns if columns > 1 else 4.5, height * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        explained: set[str] = set()
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, colours)
            # A name that stands in the legend of one panel is known in the next.
            if not {*panel.lines, *panel.points} <= explained:
                axes.legend(fontsize=7, frameon=True, framealpha=0.85, edgecolor="none")
            explained |= {*panel.lines, *panel.points}
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.tight_layout(w_pad=2)
    return figure


def _draw(axes, panel: Panel, colours: Mapping[str, str]) -> None:
    for name, (x, y) in panel.lines.items():
        marker = {"marker": "o", "markersize": 3} if len(x) <= 12 else {}
        axes.plot(x, y, color=colours[name], label=name, **marker)
    for name, (x, y) in panel.points.items():
        label = None if name in panel.lines else name
        axes.plot(x, y, "o", color=colours[name], markersize=3, label=label, zorder=3)
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    places = [x for x, _ in (*panel.lines.values(), *panel.points.values())]
    if all(np.all(np.mod(x, 1) == 0) for x in places):
        axes.xaxis.get_major_locator().set_params(integer=True)  # There are no half epochs.
    for letter in panel.log:
        log_scale(axes, letter)
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def log_scale(axes, letter: str) -> None:
    """Makes the axis `"x"` or `"y"` logarithmic, with numbers that need no mathematical type."""
    from matplotlib.ticker import LogLocator

    axes.set(**{f"{letter}scale": "log"})
    axis = getattr(axes, f"{letter}axis")
    low, high = sorted(axis.get_view_interval())
    if high < 100 * low:  # Few powers of ten: some numbers between them.
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def image_row(images: Mapping[str, np.ndarray], *, columns: int | None = None, side: float = 1.3):
    """Images with a line above each.

    Args:
        images: For each line of text a uint8 image, as `image_grid` takes it, or a float
            `(height, width)` of any range, which is drawn from its least value in black to its
            largest in white; up to 64 values are written into their pixels.
        columns: Images in a row; None for up to six.
        side: Of an image, in inches.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no image, or an image is neither.
    """
    if not images:
        raise ValueError("images is empty: there is nothing to draw.")
    columns = columns or min(len(images), 6)
    rows = math.ceil(len(images) / columns)
    with style():
        figure = new_figure(columns * (side + 0.1), rows * (side + 0.3))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (title, image) in zip(grid, images.items(), strict=False):
            axes.set_title(title, size=7.5, weight="normal", color=NEUTRAL)
            image = np.asarray(image)
            pixels = _as_uint8(image)
            show_image(axes, pixels)
            if image is not pixels and image.size <= 64:
                for (row, column), value in np.ndenumerate(image):
                    ink = "black" if pixels[row, column] > 127 else "white"
                    axes.text(
                        column, row, f"{value:.2g}", size=6.5, color=ink, ha="center", va="center"
                    )
        for axes in grid:
            axes.set_axis_off()
        figure.tight_layout(pad=0.3)
    return figure


def _as_uint8(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8 or image.ndim != 2:
        return image  # `show_image` refuses what it can't draw.
    low, high = image.min(), image.max()
    return np.round(255 * (image - low) / max(high - low, 1e-12)).astype(np.uint8)
