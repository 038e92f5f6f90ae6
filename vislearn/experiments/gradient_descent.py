"""Gradient descent on a parabola, step by step.

The notes minimise `f(x) = x^2` from 10 with rate 0.2. A step is `x <- x - 0.2 * 2x = 0.6 x`, so
that ten steps give `10 * 0.6^10 = 0.0604661760`. It is computed twice: by the formula in float64,
and as networks are trained, by the backend's automatic differentiation and Keras's SGD in float32.
Rates of 1 and beyond show the rest: there `|1 - 2 rate|` is 1, and x oscillates for ever, or more.
"""

import keras

from vislearn import backend
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

START, RATE, STEPS = 10.0, 0.2, 10


@experiment(
    claim="Ten steps of gradient descent on x^2 from 10 with rate 0.2 end at 0.060466.",
    source="CS163 notes, gradient descent",
    expected="0.060466176 = 10 * 0.6^10; rate 1 oscillates between 10 and -10, rate 1.1 diverges",
    minutes=0.02,
    quick="The same as the full run.",
)
def gradient_descent(context: Context) -> None:
    paths = {rate: descend(rate) for rate in (RATE, 0.9, 1.0, 1.1)}
    x = START
    for _ in range(STEPS):
        x -= RATE * 2 * x
    context.figure(
        "x after ten steps, float64", x, expected=0.060466176, tolerance=1e-15, digits=10
    )
    context.figure(
        "x after ten steps, float32 and automatic differentiation",
        paths[RATE][-1],
        expected=0.060466176,
        tolerance=1e-7,
        digits=8,
    )
    context.figure("|x| after ten steps, rate 1", abs(paths[1.0][-1]), expected=10, tolerance=1e-4)
    context.figure(
        "|x| after ten steps, rate 1.1", abs(paths[1.1][-1]), expected=61.9174, tolerance=1e-3
    )
    context.picture(
        "paths",
        _draw(paths),
        "Left: the ten steps on the parabola. Right: how far from the minimum each rate stays; the "
        "distance is multiplied by |1 - 2 rate| in each step.",
    )


def descend(rate: float) -> list[float]:
    """The places that gradient descent on `x^2` visits, the start first."""
    x = keras.Variable(START)
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build([x])
    path = [START]
    for _ in range(STEPS):
        _, gradients = backend.value_and_gradients(lambda: keras.ops.square(x.value), [x], [x])
        optimizer.apply(gradients)
        path.append(float(x.value))
    return path


def _draw(paths):
    steps = range(STEPS + 1)
    grid = [number / 10 for number in range(-105, 106)]
    visited = paths[RATE], [x**2 for x in paths[RATE]]
    distances = {f"rate {rate:g}": (steps, list(map(abs, path))) for rate, path in paths.items()}
    return chart(
        Panel(f"rate {RATE}", "x", "x²", {"x²": (grid, [x**2 for x in grid])}, {"steps": visited}),
        Panel("distance from the minimum", "step", "|x|", distances, log="y"),
    )
