"""Five optimisers in one ravine.

`f(x, y) = (x^2 + 50 y^2) / 2` from (-8, 1). Gradient descent can't step further than the steep axis
allows, and creeps along the flat one; momentum adds up what points the same way. AdaGrad, RMSProp
and Adam divide each coordinate by the size of its own gradients: the ravine is to them the same as
a round bowl, step by step, which is the exact form of the notes' picture.

Gradient descent and momentum have the rates that are best for a quadratic function (Polyak 1964),
the others rates of a usual size. RMSProp's doesn't fall, so that it ends up circling the minimum.
"""

import keras
import numpy as np

from vislearn.experiments.descent import descend
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

START, CURVATURES, GOAL = (-8.0, 1.0), np.array([1.0, 50.0], "float32"), 1e-3
# No optimiser here mixes coordinates, so that ravine and bowl are descended together.
BOTH = np.concatenate([CURVATURES, [1.0, 1.0]]).astype("float32")
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(2 / 51),
    "momentum": lambda: keras.optimizers.SGD(4 / (1 + 50**0.5) ** 2, momentum=0.57),
    "AdaGrad": lambda: keras.optimizers.Adagrad(2.0, initial_accumulator_value=0.0),
    "RMSProp": lambda: keras.optimizers.RMSprop(0.2, rho=0.9),
    "Adam": lambda: keras.optimizers.Adam(0.5),
}


@experiment(
    claim="Momentum crosses a ravine faster than gradient descent; AdaGrad, RMSProp and Adam don't "
    "see that it is one.",
    source="CS163 and CS909 notes, optimisers; Polyak 1964; Duchi et al. 2011; Kingma and Ba 2015",
    expected="momentum in at most half the steps of SGD; the adaptive paths equal those in a bowl",
    minutes=0.1,
    quick="60 steps in place of 200, which is too few for SGD to arrive.",
)
def optimizer_comparison(context: Context) -> None:
    steps = 60 if context.quick else 200
    ravine, bowl = {}, {}
    for name, make in OPTIMIZERS.items():
        paths = descend(make(), lambda place: place * BOTH, START * 2, steps)
        ravine[name], bowl[name] = paths[:, :2], paths[:, 2:]
    heights = {name: path**2 @ CURVATURES / 2 for name, path in ravine.items()}
    for name, height in heights.items():
        context.figure(f"{name}: steps until f < {GOAL}", _arrival(height))
    context.figure(
        "steps of momentum against those of SGD",
        _arrival(heights["momentum"]) / _arrival(heights["SGD"]),
        at_most=0.5,
    )
    for name in OPTIMIZERS:
        distance = np.abs(ravine[name] - bowl[name])[: steps // 2].max()
        adaptive = name in ("AdaGrad", "RMSProp", "Adam")
        context.figure(
            f"{name}: largest distance between ravine and bowl",
            distance,
            **({"at_most": 0.02} if adaptive else {"at_least": 0.1}),
        )
    context.note(f"An optimiser that does not arrive in {steps} steps is counted with {steps}.")
    context.picture(
        "paths",
        chart(
            Panel("paths", "x", "y", {name: tuple(path[:60].T) for name, path in ravine.items()}),
            Panel(
                "height",
                "step",
                "f",
                {name: (range(steps + 1), height + 1e-12) for name, height in heights.items()},
                log="y",
            ),
        ),
        "Left: the first 60 steps through the ravine, whose floor is the x-axis. Right: how far "
        "above it each optimiser is.",
    )


def _arrival(height: np.ndarray) -> int:
    """The first step from which on the height stays below the goal, or the last step."""
    above = np.flatnonzero(height >= GOAL)
    return min(int(above[-1]) + 1, len(height) - 1)
