"""Unshared convolution (LeCun 1989, "Generalization and Network Design Strategies")."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class LocallyConnected2D(keras.layers.Layer):
    """A convolution whose every output pixel has weights of its own.

    The weights are `(out_height, out_width, size * size * channels, filters)`, the patch read row
    by row, and a bias for every pixel and filter; the image size is therefore fixed.

    Args:
        filters: Number of output channels.
        size: Side of the window.
        stride: Step in both directions.
        padding: `"valid"`, or `"same"` for windows padded with zeros, as `keras.layers.Conv2D`
            pads them.
        kernel_initializer: Keras initialiser of the weights; by default Glorot's uniform one, with
            the fans of one pixel.

    Shape: `(batch, height, width, channels)` to `(batch, out_height, out_width, filters)`.

    Raises:
        ValueError: If an argument is out of range, the image size is not known, or the image is
            smaller than the window.
    """

    def __init__(
        self,
        filters: int,
        size: int,
        stride: int = 1,
        padding: str = "valid",
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for argument, value in (("filters", filters), ("size", size), ("stride", stride)):
            if value < 1:
                raise ValueError(f"{argument}={value!r} must be at least 1.")
        if padding not in ("valid", "same"):
            raise ValueError(f"padding={padding!r} must be 'valid' or 'same'.")
        self.filters = filters
        self.size = size
        self.stride = stride
        self.padding = padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, self._steps(height), self._steps(width), self.filters)

    def _steps(self, length: int) -> int:
        """Number of windows along an axis."""
        if self.padding == "same":
            return math.ceil(length / self.stride)
        return (length - self.size) // self.stride + 1

    def build(self, input_shape):
        _, height, width, channels = input_shape
        if height is None or width is None:
            raise ValueError(f"LocallyConnected2D needs a fixed image size, not {input_shape}.")
        if self.padding == "valid" and min(height, width) < self.size:
            raise ValueError(f"size={self.size} is larger than the {height}x{width} image.")
        rows, columns = self._steps(height), self._steps(width)
        window = self.size**2 * channels
        initializer = self.kernel_initializer
        if initializer is None:
            # Keras takes the fans from the whole shape, as if the pixels were one window.
            limit = math.sqrt(6 / (window + self.filters))
            initializer = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(
            (rows, columns, window, self.filters), initializer=initializer, name="kernel"
        )
        self.bias = self.add_weight((rows, columns, self.filters), initializer="zeros", name="bias")

    def call(self, inputs):
        _, height, width, _ = inputs.shape
        rows, columns = self._steps(height), self._steps(width)
        if self.padding == "same":
            inputs = ops.pad(
                inputs, [(0, 0), self._pads(height, rows), self._pads(width, columns), (0, 0)]
            )
        bottom, right = (rows - 1) * self.stride + 1, (columns - 1) * self.stride + 1
        # One strided slice for each place in the window: cheaper than ops.image.extract_patches,
        # which is a convolution with an identity kernel.
        patches = [
            inputs[:, top : top + bottom : self.stride, left : left + right : self.stride]
            for top in range(self.size)
            for left in range(self.size)
        ]
        patches = ops.concatenate(patches, axis=-1)  # (batch, rows, columns, window)
        return ops.einsum("bhwi,hwio->bhwo", patches, self.kernel) + self.bias

    def _pads(self, length: int, steps: int) -> tuple[int, int]:
        """Zeros before and after an axis; the odd one comes after."""
        total = max((steps - 1) * self.stride + self.size - length, 0)
        return total // 2, total - total // 2

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "size": self.size,
            "stride": self.stride,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer)
            if self.kernel_initializer
            else None,
        }
