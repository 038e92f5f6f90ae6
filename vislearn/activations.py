"""The activation functions of the course, by name.

    name         f(x)                               f'(x)
    identity     x                                  1
    binary_step  0 where x < 0, else 1              0: a network with it learns nothing below it
    sigmoid      1 / (1 + exp(-x))                  f (1 - f), at most 1/4
    tanh         (e^x - e^-x) / (e^x + e^-x)        1 - f^2
    arctan       arctan(x)                          1 / (1 + x^2)
    relu         max(0, x)                          0 where x < 0, else 1
    leaky_relu   x, times a where x < 0             a where x < 0, else 1; a = 0.2 in Keras
    prelu        the same with a learned a          the same (He et al. 2015, arXiv:1502.01852)
    elu          e^x - 1 where x < 0, else x        e^x where x < 0, else 1 (arXiv:1511.07289)
    softplus     log(1 + e^x)                       sigmoid(x)
    softmax      e^x_i / sum_j e^x_j                f_i (1 where i = j, else 0, less f_j)
    maxout       max_j (x W_j + b_j)                W_j of the largest (arXiv:1302.4389)

Most are Keras's. Where x is 0 and there is a corner, the slope is one of those beside it.
"""

from collections.abc import Callable

import keras
from keras import ops

from vislearn import backend
from vislearn.layers import Maxout


@keras.saving.register_keras_serializable("vislearn")
def binary_step(x):
    """0 where x is negative, 1 elsewhere; the slope is 0 everywhere."""
    # By the sign, whose slope backends know to be 0; a comparison would have none at all.
    return 1.0 - ops.relu(ops.sign(-x))


@keras.saving.register_keras_serializable("vislearn")
def arctan(x):
    """The angle whose tangent is x, -pi/2 to pi/2."""
    return ops.arctan(x)


FUNCTIONS: dict[str, Callable] = {
    "identity": keras.activations.linear,
    "binary_step": binary_step,
    "sigmoid": keras.activations.sigmoid,
    "tanh": keras.activations.tanh,
    "arctan": arctan,
    "relu": keras.activations.relu,
    "leaky_relu": keras.activations.leaky_relu,
    "elu": keras.activations.elu,
    "softplus": keras.activations.softplus,
    "softmax": keras.activations.softmax,
}
# Those with weights.
LAYERS = {"prelu": keras.layers.PReLU, "maxout": Maxout}


def get(activation: str | Callable | None) -> Callable:
    """The function of this name, for the `activation` of a Keras layer.

    Args:
        activation: A name of `FUNCTIONS` or of Keras; a function, which is returned; None for the
            identity.

    Raises:
        ValueError: If there is none, or if it has weights and so must be a layer.
    """
    if activation in LAYERS:
        raise ValueError(
            f"activation={activation!r} has weights: use the layer {LAYERS[activation].__name__}."
        )
    if activation in FUNCTIONS:
        return FUNCTIONS[activation]
    return keras.activations.get(activation)


def value_and_slope(function: Callable, x):
    """f(x) and f'(x) of a function that treats each number by itself.

    Args:
        function: From a tensor to a tensor of the same shape.
        x: Any shape.

    Returns:
        Two float32 arrays of the shape of `x`.
    """
    x = ops.convert_to_tensor(x, "float32")
    slope = backend.input_gradient(function, x, [])
    return ops.convert_to_numpy(function(x)), ops.convert_to_numpy(slope)
