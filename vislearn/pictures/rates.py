"""Learning rates: a range test, and schedules."""

import math
from collections.abc import Mapping, Sequence

from vislearn.pictures.style import FAINT, NEUTRAL, RIGHT, WRONG, new_figure, style


def rate_range(found):
    """The loss over the learning rate, with the rates that the range test suggests.

    Args:
        found: A `vislearn.training.range_test.RateRange`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with style():
        figure = new_figure(5.4, 3.2)
        axes = figure.subplots()
        axes.plot(found.rates, found.losses, color=FAINT, linewidth=1, label="loss of a batch")
        axes.plot(
            found.smoothed_rates,
            found.smoothed_losses,
            color=NEUTRAL,
            linewidth=2,
            label="smoothed",
        )
        for rate, colour, line, label in (
            (found.suggestion, RIGHT, "-", "steepest"),
            (found.tenth, RIGHT, ":", "least loss / 10"),
            (found.usual, WRONG, "--", "recipe"),
        ):
            if rate is not None:
                label = f"{label} {rate:.2g}"
                axes.axvline(rate, color=colour, linestyle=line, linewidth=1.2, label=label)
        low, high = min(found.smoothed_losses), max(found.smoothed_losses[: _head(found)])
        # The start and the valley fill the picture; what diverges leaves it.
        axes.set_ylim(low - 0.1 * (high - low), high + 0.35 * (high - low))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")  # The style knows no formulas.
        axes.set_title(f"{found.model} on {found.data}, {found.optimizer}")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.legend(fontsize=7)
    return figure


def _head(found) -> int:
    """The steps up to the one with the least smoothed loss."""
    return found.smoothed_losses.index(min(found.smoothed_losses)) + 1


def schedules(rates: Mapping[str, Sequence[float]]):
    """Learning rates over the steps of a training, a panel a schedule.

    Args:
        rates: By the schedule's name the rate of each step.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there is none.
    """
    if not rates:
        raise ValueError("rates is empty: there is no schedule to draw.")
    columns = min(5, len(rates))
    rows = math.ceil(len(rates) / columns)
    with style():
        figure = new_figure(1.9 * columns, 1.5 * rows)
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes, (name, values) in zip(grid, rates.items(), strict=False):
            axes.plot(values, color=RIGHT)
            axes.set_title(name, fontsize=8)
            axes.grid(axis="y")
            axes.set_axisbelow(True)
        for axes in grid[len(rates) :]:
            axes.set_axis_off()
        for axes in grid[max(0, len(rates) - columns) : len(rates)]:
            axes.set_xlabel("step")
        for axes in grid[::columns]:
            axes.set_ylabel("learning rate")
        figure.tight_layout()
    return figure
