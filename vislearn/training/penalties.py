"""L1 and L2 penalties on weights, as summands of the loss.

    loss + l1 sum |w| + l2 sum w^2

The gradient of the second is `2 l2 w` (many books write lambda / 2 for l2). It passes through the
optimiser like any other gradient: Adam divides it by the size of what it has seen, momentum adds
it up. Decoupled weight decay shrinks the weights beside the optimiser (Loshchilov and Hutter 2019,
arXiv:1711.05101); only for plain gradient descent are the two the same. L1 pulls with the same
force however small a weight is, and so brings many of them to zero.
"""

from fnmatch import fnmatchcase

import keras

from vislearn.training.recipes import NOT_DECAYED


def penalize(network: keras.Model, *, l1: float = 0.0, l2: float = 0.0, layers: str = "*"):
    """Makes the size of weights part of the loss, in `fit` and in `evaluate`.

    It changes the network's variables and not its configuration: a saved network has none of it.

    Args:
        network: The network that is trained.
        l1, l2: The factors, at least 0.
        layers: Wildcard of the names of layers, or several with commas between: `"conv*,head"`.
            What weight decay leaves alone (`NOT_DECAYED`), and what is frozen, has no penalty.

    Returns:
        The paths of the weights that have a penalty.

    Raises:
        ValueError: If a factor is negative, or there is no such weight.
    """
    penalty = keras.regularizers.L1L2(l1, l2)  # Checks the factors.
    weights = [
        weight
        for layer in network.layers
        if any(fnmatchcase(layer.name, pattern.strip()) for pattern in layers.split(","))
        for weight in layer.trainable_weights
        if not any(name in weight.name for name in NOT_DECAYED)
    ]
    if not weights:
        raise ValueError(f"penalized={layers!r}: {network.name} has no such weights to train.")
    for weight in weights:
        weight.regularizer = penalty
    return [weight.path for weight in weights]


def penalty(network: keras.Model) -> float:
    """What the penalties now add to the loss."""
    weights = (weight for weight in network.trainable_weights if weight.regularizer is not None)
    return sum(float(weight.regularizer(weight)) for weight in weights)
