"""Adaptive gradient clipping (Brock et al. 2021, arXiv:2102.06171, section 4)."""

from keras import ops

from vislearn.training.optimizers import KINDS, extend


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


class AdaptiveClipping:
    """Clips each unit's gradient, then leaves it to the optimiser that is the other base class.

    What is clipped is the gradient of the whole batch, after clipping by norm or value, beside
    weights that are already decayed.

    Args:
        agc: The threshold; see `clip_adaptively`.
        agc_excluded: Names of layers that are not clipped: the last linear layer learns better
            without (section 4.1).
        *args, **kwargs: Arguments of the optimiser.

    Raises:
        ValueError: If the threshold is not positive.
    """

    def __init__(self, *args, agc: float, agc_excluded=("head",), **kwargs):
        super().__init__(*args, **kwargs)
        if agc <= 0:
            raise ValueError(f"agc={agc!r} must be positive.")
        self.agc = agc
        self.agc_excluded = tuple(agc_excluded)

    def build(self, variables):
        super().build(variables)
        layers = [variable.path.split("/")[:-1] for variable in variables]
        self._is_clipped = [{*path}.isdisjoint(self.agc_excluded) for path in layers]

    def update_step(self, gradient, variable, learning_rate):
        if self._is_clipped[self._get_variable_index(variable)]:
            gradient = clip_adaptively(ops.convert_to_tensor(gradient), variable, self.agc)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "agc": self.agc, "agc_excluded": [*self.agc_excluded]}


# By the optimiser's class: that of the same optimiser with adaptive clipping.
ADAPTIVE = extend(AdaptiveClipping, KINDS)
