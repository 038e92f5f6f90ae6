"""Activation functions and their slopes."""

import math
from collections.abc import Mapping

from vislearn.pictures.style import FAINT, RIGHT, WRONG, new_figure, style


def function_grid(functions: Mapping[str, tuple], *, columns: int = 4, limits=(-1.6, 3.1)):
    """A panel for each function of one number, its value drawn beside its slope.

    Args:
        functions: For each title x, f(x) and f'(x), arrays `(points,)`.
        columns: Panels in a row.
        limits: What each panel shows of the values.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is no function.
    """
    if not functions:
        raise ValueError("functions is empty: there is nothing to draw.")
    rows = math.ceil(len(functions) / columns)
    with style():
        figure = new_figure(2.2 * columns, 1.9 * rows)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, (title, (x, value, slope)) in zip(grid, functions.items(), strict=False):
            axes.axhline(0, color=FAINT, linewidth=0.8)
            axes.axvline(0, color=FAINT, linewidth=0.8)
            axes.plot(x, slope, color=WRONG, linewidth=1.2, linestyle=(0, (4, 1.5)))
            axes.plot(x, value, color=RIGHT, linewidth=2)
            axes.set_title(title)
            axes.set_ylim(*limits)
        for axes in grid[len(functions) :]:
            axes.set_axis_off()
        lines = grid[0].get_lines()
        figure.legend(
            [lines[3], lines[2]], ["value", "slope"], loc="lower center", ncols=2, frameon=False
        )
        figure.tight_layout(rect=(0, 0.04, 1, 1))
    return figure
