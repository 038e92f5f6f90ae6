"""How large the first weights may be: activations through ten layers.

500 units a layer, normal inputs, no training (the notes' and CS231n's demonstration). Weights of
deviation 0.01 let tanh die out, of 1 saturate it, and Glorot's `2 / (in + out)` keeps it alive. For
ReLU, which lets half through, Glorot's lose half the mean square in each layer, 2^-10 in all, and
He's `2 / in` keep it.
"""

import keras
import numpy as np
from keras import ops

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

WIDTH, DEPTH = 500, 10
CASES = {
    "tanh, 0.01": (np.tanh, lambda seed: keras.initializers.RandomNormal(0, 0.01, seed)),
    "tanh, 1": (np.tanh, lambda seed: keras.initializers.RandomNormal(0, 1.0, seed)),
    "tanh, Glorot": (np.tanh, lambda seed: keras.initializers.GlorotNormal(seed)),
    "ReLU, Glorot": (
        lambda x: np.maximum(x, 0),
        lambda seed: keras.initializers.GlorotNormal(seed),
    ),
    "ReLU, He": (lambda x: np.maximum(x, 0), lambda seed: keras.initializers.HeNormal(seed)),
}


@experiment(
    claim="Glorot's weights keep the activations of tanh scaled, He's those of ReLU.",
    source="CS163 notes; Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852, section 2.2",
    expected="mean square after ten layers against the input's: 1 for ReLU with He's weights, "
    "2^-10 with Glorot's; tanh dies with 0.01 and saturates with 1",
    minutes=0.05,
    quick="The same as the full run.",
)
def initialization_scale(context: Context) -> None:
    sizes, last = {}, {}
    for name, (activation, make) in CASES.items():
        x = context.random.normal(size=(1000, WIDTH)).astype("float32")
        squares = [np.mean(x**2)]
        for _ in range(DEPTH):
            weights = make(int(context.random.integers(2**31)))((WIDTH, WIDTH))
            x = activation(x @ ops.convert_to_numpy(weights))
            squares.append(np.mean(x**2))
        sizes[name], last[name] = np.sqrt(squares), x
    context.figure(
        "tanh, 0.01: root mean square after ten layers", sizes["tanh, 0.01"][-1], at_most=1e-5
    )
    context.figure(
        "tanh, 1: share of units beyond 0.97", np.mean(np.abs(last["tanh, 1"]) > 0.97), at_least=0.8
    )
    context.figure(
        "tanh, Glorot: root mean square after ten layers", sizes["tanh, Glorot"][-1], at_least=0.1
    )
    context.figure(
        "tanh, Glorot: share of units beyond 0.97",
        np.mean(np.abs(last["tanh, Glorot"]) > 0.97),
        at_most=0.01,
    )
    for name, expected in (("ReLU, Glorot", 2.0**-DEPTH), ("ReLU, He", 1.0)):
        context.figure(
            f"{name}: mean square after ten layers against the input's",
            (sizes[name][-1] / sizes[name][0]) ** 2,
            expected=expected,
            tolerance=0.35 * expected,
        )
    depths = range(DEPTH + 1)
    context.picture(
        "sizes",
        chart(
            Panel(
                "activations",
                "layer",
                "root mean square",
                {name: (depths, values) for name, values in sizes.items()},
                log="y",
            ),
            height=3.2,
        ),
        "The size of the activations after each layer.",
    )
