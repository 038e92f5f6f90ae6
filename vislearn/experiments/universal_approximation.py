"""One hidden layer approximates any function; depth does more with the same parameters.

A layer of P tanh units is fitted to one period and a half of a sine with a step, by least squares
over all 3 P + 1 parameters (Levenberg-Marquardt, best of several starts), for the notes' P. For
depth the comparison is exact, not trained: the tent map `t(x) = 2 relu(x) - 4 relu(x - 1/2)`, two
units, folds the line; k layers of it make 2^k linear pieces (Telgarsky 2016), and a layer of n ReLU
units on a line can make only n + 1.
"""

import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

UNITS = (1, 2, 3, 5, 50)
DEPTH = 6


@experiment(
    claim="One hidden layer approximates a function the better the more units it has; with equal "
    "parameters depth makes more pieces than width.",
    source="CS909 notes, P = 1, 2, 3, 5, 50; Cybenko 1989; Telgarsky 2016, arXiv:1602.04485",
    expected="the error falls with P; 64 pieces from 6 layers, at most 14 from one",
    minutes=0.2,
    quick="Two starts in place of five, and P up to 5.",
)
def universal_approximation(context: Context) -> None:
    x = np.linspace(-1, 1, 200)
    target = np.sin(1.5 * np.pi * x) + 0.5 * np.sign(x - 0.3)
    units = UNITS[:-1] if context.quick else UNITS
    starts = 2 if context.quick else 5
    fits = {
        count: context.step(f"units_{count}", fit, x, target, count, starts, context)
        for count in units
    }
    errors = [
        float(np.sqrt(np.mean((fits[count] - target) ** 2)) / target.std()) for count in units
    ]
    for index, count in enumerate(units):
        bound = {"at_most": errors[index - 1]} if index else {}
        context.figure(f"relative error, {count} units", errors[index], **bound)
    context.figure(
        f"relative error, {units[-1]} units, against 1 unit", errors[-1] / errors[0], at_most=0.5
    )

    parameters = sum(inner.size + outer.size for inner, outer in deep_weights())
    width = (parameters - 1) // 3  # n weights, n offsets, n outer weights and one offset
    context.figure("parameters of six layers of two units", parameters)
    context.figure("linear pieces of six layers", pieces(deep), expected=2**DEPTH)
    best = max(pieces(shallow(width, context.random)) for _ in range(20))
    context.figure(f"linear pieces of one layer of {width} units", best, at_most=width + 1)
    grid = np.linspace(0, 1, 2049)
    context.picture(
        "fits",
        chart(
            Panel(
                "one hidden layer",
                "x",
                "",
                {f"P = {count}": (x, fits[count]) for count in units},
                {"target": (x[::5], target[::5])},
            ),
            Panel("six layers of two units", "x", "", {"tent map, six times": (grid, deep(grid))}),
        ),
        "Left: the best fit of each width. Right: 64 pieces from twelve units.",
    )


def fit(x, target, count: int, starts: int, context: Context) -> list[float]:
    """What the best of several trained layers of `count` tanh units answers."""
    from scipy.optimize import least_squares

    def answer(values):
        weights, offsets, outer = values[:-1].reshape(3, count)
        return np.tanh(np.outer(x, weights) + offsets) @ outer + values[-1]

    def slopes(values):
        weights, offsets, outer = values[:-1].reshape(3, count)
        hidden = np.tanh(np.outer(x, weights) + offsets)  # (x, units)
        inner = (1 - hidden**2) * outer
        return np.concatenate([inner * x[:, None], inner, hidden, np.ones((len(x), 1))], axis=1)

    found = []
    for _ in range(starts):
        start = context.random.normal(size=3 * count + 1) * np.sqrt(count + 1)
        start[2 * count :] /= count
        found.append(
            least_squares(
                lambda values: answer(values) - target, start, slopes, method="lm", max_nfev=300
            )
        )
    best = min(found, key=lambda result: result.cost)
    return answer(best.x).tolist()


def deep_weights() -> list[tuple[np.ndarray, np.ndarray]]:
    """For each layer its `(weight, offset)` rows of two units, and how they are added up."""
    return [(np.array([[1, 0], [1, -0.5]]), np.array([2, -4, 0])) for _ in range(DEPTH)]


def deep(x: np.ndarray) -> np.ndarray:
    """The network of tent maps."""
    for inner, (first, second, offset) in deep_weights():
        units = np.maximum(np.multiply.outer(x, inner[:, 0]) + inner[:, 1], 0)  # (x, 2)
        x = units @ [first, second] + offset
    return x


def shallow(width: int, random: np.random.Generator):
    """A layer of ReLU units that all bend within 0..1."""
    bends, outer = random.random(width), random.normal(size=width)
    return lambda x: np.maximum(np.subtract.outer(x, bends), 0) @ outer


def pieces(function) -> int:
    """Linear pieces of a function over 0..1: runs of equal slope on a fine grid."""
    grid = np.linspace(0, 1, 2**14 + 1)
    slopes = np.diff(function(grid)) / np.diff(grid)
    bends = np.abs(np.diff(slopes)) > 1e-6
    # A bend between two points of the grid changes the slope twice in a row.
    return int(np.count_nonzero(bends & ~np.concatenate([[False], bends[:-1]]))) + 1
