"""Descents of known functions, which several experiments compare."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from vislearn import backend


def descend(
    optimizer: keras.optimizers.Optimizer,
    gradient: Callable,
    start: Sequence[float],
    steps: int,
) -> np.ndarray:
    """The places that an optimiser visits, the start first: `(steps + 1, dimensions)`.

    Args:
        optimizer: A new one.
        gradient: The derivative by hand: from the place, a tensor, to a tensor.
        start: Where to begin.
        steps: How often to apply it.
    """
    place = keras.Variable(np.asarray(start, "float32"))
    optimizer.build([place])

    def advance():
        optimizer.apply([gradient(place.value)])

    if backend.is_tensorflow():  # Where an optimiser outside a graph takes milliseconds a step.
        advance = backend.compiled(advance)
    path = [ops.convert_to_numpy(place.value).copy()]
    for _ in range(steps):
        advance()
        path.append(ops.convert_to_numpy(place.value).copy())
    return np.stack(path)
