"""Weight decay and the L2 penalty: the same for gradient descent, and not for others.

The penalty `lambda / 2 |w|^2` adds `lambda w` to the gradient; weight decay shrinks the weights by
`rate * lambda w` beside the update (Loshchilov and Hutter 2019). On a quadratic loss
`sum(a w^2 / 2 - b w)` everything can be followed to the end:

- Gradient descent: the two are one formula, and their paths are equal.
- Momentum beta: the penalty passes through the velocity and acts `1 / (1 - beta)` times as strongly
  in the end. The notes call the two equal; with the same lambda they are not, with
  `lambda / (1 - beta)` for the decay they end at the same place, by different paths.
- Adam divides the penalty by the size of the gradients: no lambda makes the two end alike.
"""

import keras
import numpy as np

from vislearn.experiments.descent import descend
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

CURVATURES = np.array([0.5, 1.0, 4.0], "float32")
SLOPES = np.array([1.0, -2.0, 3.0], "float32")
START, STRENGTH, BETA = (0.0, 0.0, 0.0), 0.5, 0.8
RIDGE = SLOPES / (CURVATURES + STRENGTH)  # The end of descent with the penalty.


@experiment(
    claim="Weight decay equals an L2 penalty for SGD and momentum, and not for Adam.",
    source="CS163 notes, regularisation; Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101, "
    "propositions 1 and 2",
    expected="equal paths for SGD, equal ends for momentum, for Adam no decay that ends where the "
    "penalty does",
    minutes=0.1,
    quick="Fewer strengths of decay for Adam.",
)
def weight_decay_vs_l2(context: Context) -> None:
    def sgd(**options):
        return keras.optimizers.SGD(0.1, **options)

    def momentum(**options):
        return keras.optimizers.SGD(0.05, momentum=BETA, **options)

    def adam(**options):
        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 200), **options)

    penalty, decay = compare(sgd, 60, STRENGTH)
    context.figure(
        "SGD: largest distance of the paths", np.abs(penalty - decay).max(), at_most=1e-5
    )

    penalty, decay = compare(momentum, 120, STRENGTH)
    context.figure(
        "momentum: distance of the end from the ridge solution",
        _distance(penalty, RIDGE),
        at_most=1e-3,
    )
    context.figure(
        "momentum: distance of the ends, the same lambda",
        _distance(penalty, decay[-1]),
        at_most=1e-3,
    )
    _, rescaled = compare(momentum, 120, STRENGTH / (1 - BETA))
    context.figure(
        "momentum: distance of the ends, decay / (1 - beta)",
        _distance(penalty, rescaled[-1]),
        at_most=1e-3,
    )

    with_penalty = descend(adam(), lambda w: gradient(w) + STRENGTH * w, START, 200)
    context.figure(
        "Adam: distance of the end from the ridge solution",
        _distance(with_penalty, RIDGE),
        at_most=0.01,
    )
    strengths = [0.1, 2.5] if context.quick else np.geomspace(0.02, 12.5, 9)
    ends = [descend(adam(weight_decay=float(s)), gradient, START, 200)[-1] for s in strengths]
    distances = [_distance(with_penalty, end) for end in ends]
    context.figure("Adam: least distance of the ends over all decays", min(distances), at_least=0.1)
    context.note(
        "For momentum the claim fails as it stands: with the same lambda the ends differ. They are "
        "alike where the decay's lambda is divided by 1 - beta."
    )
    steps = range(61)
    context.picture(
        "paths",
        chart(
            Panel(
                "momentum, first weight",
                "step",
                "w",
                {
                    "penalty": (steps, penalty[:61, 0]),
                    "decay": (steps, decay[:61, 0]),
                    "decay / (1 - beta)": (steps, rescaled[:61, 0]),
                },
            ),
            Panel(
                "Adam",
                "decay",
                "distance of the ends",
                {"from the penalty's": (strengths, distances)},
                log="x",
            ),
        ),
        "Left: with momentum the same strength ends elsewhere, the rescaled one in the same place "
        "by another path. Right: no decay brings Adam to where the penalty does.",
    )


def gradient(w):
    """The derivative of the loss at a tensor."""
    return w * CURVATURES - SLOPES


def compare(make, steps: int, decay: float) -> tuple[np.ndarray, np.ndarray]:
    """The paths with the penalty of `STRENGTH`, and with weight decay."""
    penalized = descend(make(), lambda w: gradient(w) + STRENGTH * w, START, steps)
    return penalized, descend(make(weight_decay=decay), gradient, START, steps)


def _distance(path: np.ndarray, end: np.ndarray) -> float:
    """From the end of a path, as a share of the ridge solution's length."""
    return float(np.linalg.norm(path[-1] - end) / np.linalg.norm(RIDGE))
