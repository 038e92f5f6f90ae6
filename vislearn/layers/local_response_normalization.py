"""Local response normalisation (Krizhevsky et al. 2012, section 3.3)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activation by a power of those of the neighbouring channels.

    `y_i = x_i / (bias + alpha * sum of x_j^2) ^ beta`, where j runs over the `size` channels around
    i, fewer at either end. Torch's layer of this name divides its alpha by the size.

    Args:
        size: Number of channels in the sum, odd.
        bias, alpha, beta: Constants of the formula; by default those of the paper.

    Shape: `(batch, height, width, channels)`, kept.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        size: int = 5,
        bias: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size={size!r} must be odd and at least 1.")
        if bias <= 0:
            raise ValueError(f"bias={bias!r} must be positive.")
        self.size = size
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs):
        # In float32 also under mixed precision, like any normalisation.
        x = ops.cast(inputs, "float32")
        channels, reach = x.shape[-1], self.size // 2
        squares = ops.pad(ops.square(x), [(0, 0), (0, 0), (0, 0), (reach, reach)])
        total = sum(squares[..., start : start + channels] for start in range(self.size))
        scale = ops.power(self.bias + self.alpha * total, -self.beta)
        return ops.cast(x * scale, inputs.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "bias": self.bias,
            "alpha": self.alpha,
            "beta": self.beta,
        }
