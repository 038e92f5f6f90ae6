"""Pictures of model selection: folds, searches, ensembles and prediction sets."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from vislearn.pictures.style import (
    NEUTRAL,
    RIGHT,
    TINTS,
    WRONG,
    new_figure,
    shorten,
    style,
)

_PANELS = 4  # side by side


def fold_metrics(folds: Sequence[Mapping[str, float]]):
    """Each metric of each fold as a dot, over the mean and a band of a standard deviation.

    Args:
        folds: Metrics by fold, the same in each.

    Returns:
        A `matplotlib.figure.Figure`, a panel a metric.

    Raises:
        ValueError: If there are fewer than two folds.
    """
    if len(folds) < 2:
        raise ValueError(f"folds holds {len(folds)}: a spread needs at least two.")
    numbers = np.arange(1, len(folds) + 1)
    with style():
        from matplotlib.ticker import MaxNLocator

        figure, panels = _panels([*folds[0]])
        for axes, name in panels:
            values = np.array([fold[name] for fold in folds])
            mean, deviation = values.mean(), values.std(ddof=1)
            axes.axhspan(mean - deviation, mean + deviation, color=TINTS[NEUTRAL], alpha=0.5, lw=0)
            axes.axhline(mean, color=NEUTRAL, linewidth=1)
            axes.plot(numbers, values, "o", color=RIGHT)
            axes.set_title(f"{name.replace('_', ' ')}  {mean:.4f} ± {deviation:.4f}")
            axes.set_xlabel("fold")
            axes.set_xlim(0.5, len(folds) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(min(len(folds), 10), integer=True))
        figure.tight_layout(w_pad=2)
    return figure


def slices(
    params: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    *,
    metric: str,
    scales: Mapping[str, str],
    mode: str = "max",
):
    """The figure of each trial over each parameter, the best trial marked.

    Args:
        params: By trial the values by name.
        values: By trial the figure.
        metric: Name of the figure.
        scales: `"linear"` or `"log"` by name of a parameter that is a number; the values of the
            others stand side by side.
        mode: `"max"` or `"min"`: which figure is best.

    Returns:
        A `matplotlib.figure.Figure`, a panel a parameter.

    Raises:
        ValueError: If there is no trial, or not a figure for each.
    """
    if not params or len(params) != len(values):
        raise ValueError(f"params holds {len(params)} trials, and values {len(values)}.")
    best = int(np.argmax(values) if mode == "max" else np.argmin(values))
    with style():
        from matplotlib.ticker import NullFormatter

        figure, panels = _panels([*params[0]])
        for axes, name in panels:
            places = [row[name] for row in params]
            if name in scales:
                axes.set_xscale(scales[name])
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_formatter(NullFormatter())
            else:
                labels = [str(value) for value in places]
                distinct = sorted({*labels}, key=_natural)
                places = [distinct.index(label) for label in labels]
                axes.set_xticks(range(len(distinct)), [shorten(label, 14) for label in distinct])
                axes.set_xlim(-0.5, len(distinct) - 0.5)
            axes.plot(places, values, "o", color=RIGHT, markersize=4, alpha=0.6)
            axes.plot(places[best], values[best], "o", color=WRONG, markersize=6)
            axes.set_title(name)
            axes.set_ylabel(metric.replace("_", " "))
            axes.grid(axis="y")
            axes.set_axisbelow(True)
        figure.tight_layout(w_pad=2)
    return figure


def importance_bars(importance: Mapping[str, float]):
    """Share of the variation that each parameter of a search explains.

    Args:
        importance: Shares by name, 0 to 1.

    Returns:
        A `matplotlib.figure.Figure`, the largest on top.
    """
    names = sorted(importance, key=importance.get, reverse=True)
    return _bars(names, [importance[name] for name in names], "{:.0%}")


def member_bars(values: Mapping[str, float], metric: str, *, highlight: str):
    """A metric of the members of an ensemble beside that of the ensemble.

    Args:
        values: The metric by name of a model.
        metric: Its name.
        highlight: The name that is drawn dark.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    names = [*values]
    figure = _bars(names, [values[name] for name in names], "{:.4f}", {highlight})
    with style():
        figure.axes[0].set_title(metric.replace("_", " "))
    return figure


def coverage_bars(
    coverage: Sequence[float], sizes: Sequence[float], classes: Sequence[str], *, stated: float
):
    """Share of each class's images whose prediction set holds the class, and the mean set size.

    Args:
        coverage: `(classes,)` 0 to 1; NaN for a class without images.
        sizes: `(classes,)` mean number of classes in the sets.
        classes: Names of the classes.
        stated: The coverage that was asked for, a line.

    Returns:
        A `matplotlib.figure.Figure`, coverage at the left and sizes at the right.

    Raises:
        ValueError: If the arguments don't belong together.
    """
    if not len(coverage) == len(sizes) == len(classes) > 0:
        raise ValueError(
            f"coverage has {len(coverage)} values and sizes {len(sizes)} for {len(classes)} "
            "classes."
        )
    rows = np.arange(len(classes))
    with style():
        figure = new_figure(5.6, 0.9 + 0.2 * len(classes))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, values, title in (
            (left, coverage, "coverage"),
            (right, sizes, "mean set size"),
        ):
            axes.barh(rows, np.nan_to_num(values), height=0.6, color=RIGHT)
            axes.set_title(title)
        left.axvline(stated, color=WRONG, linestyle=(0, (4, 1.5)), linewidth=1.2)
        left.set_xlim(0, 1)
        left.set_yticks(rows, [shorten(name, 22) for name in classes])
        left.set_ylim(len(classes) - 0.5, -0.5)
        figure.tight_layout(w_pad=2)
    return figure


def _natural(text: str) -> tuple[float, str]:
    """Numbers in their order, then words in theirs."""
    try:
        return float(text), ""
    except ValueError:
        return math.inf, text


def _panels(names: Sequence[str]):
    """A figure with a panel a name, and pairs of axes and name."""
    columns = min(len(names), _PANELS)
    rows = math.ceil(len(names) / columns)
    figure = new_figure(2.7 * columns, 2.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    return figure, [*zip(grid, names, strict=False)]


def _bars(names, values, form: str, dark: Collection[str] | None = None):
    """Horizontal bars with their values beside them; all dark, or only some."""
    with style():
        figure = new_figure(4.6, 0.6 + 0.24 * len(names))
        axes = figure.subplots()
        rows = np.arange(len(names))
        colours = [RIGHT if dark is None or name in dark else TINTS[RIGHT] for name in names]
        axes.barh(rows, values, height=0.7, color=colours)
        for row, value in zip(rows, values, strict=True):
            axes.text(value, row, " " + form.format(value), size=7, va="center_baseline")
        axes.set_yticks(rows, [shorten(name, 30) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
    return figure
