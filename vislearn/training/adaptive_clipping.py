"""Adaptive gradient clipping (Brock et al. 2021, arXiv:2102.06171, section 4)."""

import keras
from keras import ops

from vislearn.training.optimizers import KINDS, extend


def unit_norm(value, axes):
    """The Euclidean norm over `axes`, in float32, with the axes kept."""
    squares = ops.square(ops.cast(value, "float32"))
    return ops.sqrt(ops.sum(squares, axis=axes, keepdims=True))


def unit_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of a weight that belong to one unit, which is one output of a layer.

    A kernel `(..., inputs, outputs)` has a unit for each output; a bias or gain is one unit. See
    `unusual_units` for kernels that are laid out in another way.
    """
    return tuple(range(len(shape) - 1)) if len(shape) > 1 else tuple(range(len(shape)))


def unusual_units(network: keras.Model) -> dict[str, list[int]]:
    """The axes of one unit for the kernels whose units a shape does not tell.

    A depthwise kernel `(height, width, channels, multiplier)` has a unit for each channel and
    multiple, a transposed one `(height, width, outputs, inputs)` one for each output.

    Args:
        network: The model that is trained.

    Returns:
        Axes by the path of the kernel.
    """
    found = {}
    for layer in network.layers:
        if isinstance(layer, _DEPTHWISE):
            found[layer.kernel.path] = list(range(len(layer.kernel.shape) - 2))
        elif isinstance(layer, _SEPARABLE):
            kernel = layer.depthwise_kernel
            found[kernel.path] = list(range(len(kernel.shape) - 2))
        elif isinstance(layer, _TRANSPOSED):
            rank = len(layer.kernel.shape)
            found[layer.kernel.path] = [*range(rank - 2), rank - 1]
    return found


_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def clip_adaptively(gradient, weight, threshold: float, epsilon: float = 1e-3, axes=None):
    """Shortens the gradient of each unit that is long beside the unit's weights (equation 3).

    Args:
        gradient, weight: Tensors of one shape.
        threshold: The largest ratio of the two norms, lambda in the paper.
        epsilon: The least norm of weights that counts, so that zeros can leave zero.
        axes: Those of one unit; None for what the shape tells, see `unit_axes`.

    Returns:
        The gradient, clipped.
    """
    axes = unit_axes(tuple(weight.shape)) if axes is None else tuple(axes)
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
        agc_axes: Axes of one unit by the path of a kernel, where the shape does not tell them:
            what `unusual_units` returns for the network.
        *args, **kwargs: Arguments of the optimiser.

    Raises:
        ValueError: If the threshold is not positive, or nothing is left to be clipped.
    """

    def __init__(self, *args, agc: float, agc_excluded=("head",), agc_axes=None, **kwargs):
        super().__init__(*args, **kwargs)
        if agc <= 0:
            raise ValueError(f"agc={agc!r} must be positive.")
        self.agc = agc
        self.agc_excluded = tuple(agc_excluded)
        self.agc_axes = {path: [*axes] for path, axes in (agc_axes or {}).items()}

    def build(self, variables):
        super().build(variables)
        layers = [variable.path.split("/")[:-1] for variable in variables]
        self._is_clipped = [{*path}.isdisjoint(self.agc_excluded) for path in layers]
        self._axes = [self.agc_axes.get(variable.path) for variable in variables]
        if not any(self._is_clipped):
            raise ValueError(
                f"agc={self.agc!r}: nothing is trained but {list(self.agc_excluded)}, which is "
                "not clipped."
            )

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if self._is_clipped[index]:
            gradient = clip_adaptively(
                ops.convert_to_tensor(gradient), variable, self.agc, axes=self._axes[index]
            )
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {
            **super().get_config(),
            "agc": self.agc,
            "agc_excluded": [*self.agc_excluded],
            "agc_axes": self.agc_axes,
        }


# By the optimiser's class: that of the same optimiser with adaptive clipping.
ADAPTIVE = extend(AdaptiveClipping, KINDS)
# For those who compile a network themselves.
AdaptiveClippingSGD = ADAPTIVE[keras.optimizers.SGD]
AdaptiveClippingAdagrad = ADAPTIVE[keras.optimizers.Adagrad]
AdaptiveClippingAdadelta = ADAPTIVE[keras.optimizers.Adadelta]
AdaptiveClippingRMSprop = ADAPTIVE[keras.optimizers.RMSprop]
AdaptiveClippingAdam = ADAPTIVE[keras.optimizers.Adam]
AdaptiveClippingAdamW = ADAPTIVE[keras.optimizers.AdamW]
