"""Adaptive gradient clipping (Brock et al. 2021, arXiv:2102.06171, section 4)."""

import keras
from keras import ops


def unit_norm(value, axes):
    """The Euclidean norm over `axes`, in float32, with the axes kept."""
    squares = ops.square(ops.cast(value, "float32"))
    return ops.sqrt(ops.sum(squares, axis=axes, keepdims=True))


def unit_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of a weight that belong to one unit, which is one output of a layer.

    A kernel `(..., inputs, outputs)` has a unit for each output, a depthwise one
    `(height, width, channels, 1)` one for each channel; a bias or gain is one unit.
    """
    if len(shape) <= 1:
        return tuple(range(len(shape)))
    if len(shape) == 4 and shape[-1] == 1:
        return (0, 1)
    return tuple(range(len(shape) - 1))


def clip_adaptively(gradient, weight, threshold: float, epsilon: float = 1e-3):
    """Shortens the gradient of each unit that is long beside the unit's weights (equation 3).

    Args:
        gradient, weight: Tensors of one shape.
        threshold: The largest ratio of the two norms, lambda in the paper.
        epsilon: The least norm of weights that counts, so that zeros can leave zero.

    Returns:
        The gradient, clipped.
    """
    axes = unit_axes(tuple(weight.shape))
    allowed = threshold * ops.maximum(unit_norm(weight, axes), epsilon)
    # 1e-6: where the gradient is zero, it stays so.
    factor = ops.minimum(allowed / ops.maximum(unit_norm(gradient, axes), 1e-6), 1.0)
    return gradient * ops.cast(factor, gradient.dtype)


class _AdaptiveClipping:
    """Clips each unit's gradient, then leaves it to the optimiser that is the other base class.

    Args:
        agc: The threshold; see `clip_adaptively`.
        agc_excluded: Names of layers that are not clipped: the last linear layer learns better
            without (section 4.1).
        **kwargs: Arguments of the optimiser.

    Raises:
        ValueError: If the threshold is not positive.
    """

    def __init__(self, *, agc: float, agc_excluded=("head",), **kwargs):
        super().__init__(**kwargs)
        if agc <= 0:
            raise ValueError(f"agc={agc!r} must be positive.")
        self.agc = agc
        self.agc_excluded = tuple(agc_excluded)

    def apply(self, grads, trainable_variables=None):
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        # Without any, those that the optimiser was built with.
        variables = trainable_variables or self._trainable_variables
        clipped = [self._clipped(*pair) for pair in zip(grads, variables, strict=True)]
        return super().apply(clipped, trainable_variables)

    def _clipped(self, gradient, variable):
        layers = variable.path.split("/")[:-1]
        if gradient is None or not {*layers}.isdisjoint(self.agc_excluded):
            return gradient
        return clip_adaptively(ops.convert_to_tensor(gradient), variable, self.agc)

    def get_config(self):
        return {**super().get_config(), "agc": self.agc, "agc_excluded": [*self.agc_excluded]}


@keras.saving.register_keras_serializable("vislearn")
class AdaptiveSGD(_AdaptiveClipping, keras.optimizers.SGD):
    """`keras.optimizers.SGD` behind adaptive clipping."""


@keras.saving.register_keras_serializable("vislearn")
class AdaptiveAdam(_AdaptiveClipping, keras.optimizers.Adam):
    """`keras.optimizers.Adam` behind adaptive clipping."""


@keras.saving.register_keras_serializable("vislearn")
class AdaptiveAdamW(_AdaptiveClipping, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` behind adaptive clipping."""
