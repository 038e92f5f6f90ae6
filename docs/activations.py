"""Draws docs/images/activations.png: the twelve activation functions and their slopes.

python docs/activations.py
"""

from pathlib import Path

import numpy as np
from keras import ops

from vislearn import activations, pictures
from vislearn.activations import FUNCTIONS, value_and_slope

HERE = Path(__file__).parent
# Those of several numbers or with weights, at examples of the others.
SHOWN = {
    **FUNCTIONS,
    "prelu": lambda x: activations.get("leaky_relu")(x, negative_slope=0.4),
    "softmax": lambda x: ops.softmax(ops.stack([x, 0 * x]), axis=0)[0],
    "maxout": lambda x: ops.max(ops.stack([-x - 1.5, 0.2 * x, x - 0.8]), axis=0),
}
TITLES = {
    "prelu": "prelu, a = 0.4",
    "softmax": "softmax of (x, 0)",
    "maxout": "maxout of three lines",
}
ORDER = (
    *("identity", "binary_step", "sigmoid", "tanh", "arctan", "relu"),
    *("leaky_relu", "prelu", "elu", "softplus", "softmax", "maxout"),
)


def main() -> None:
    x = np.linspace(-3, 3, 1201)
    curves = {
        TITLES.get(name, name.replace("_", " ")): (x, *value_and_slope(SHOWN[name], x))
        for name in ORDER
    }
    path = HERE / "images" / "activations.png"
    pictures.save(pictures.function_grid(curves), path)
    print(path)


if __name__ == "__main__":
    main()
