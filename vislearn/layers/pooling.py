"""Pooling that Keras's layers of the same purpose round or pad in another way."""

import keras
import numpy as np
from keras import ops


def ceil_max_pool(x, size: int = 3, *, stride: int = 2, name: str):
    """`MaxPooling2D` without padding, whose last window may reach over the border.

    It is what Caffe does, and torch with `ceil_mode=True`. The input must not be negative (after
    ReLU), as zeros stand beyond the border.

    Args:
        x: `(batch, height, width, channels)`.
        size: Side of the window.
        stride: Step in both directions, at most `size`.
        name: Name of the layer.

    Returns:
        `(batch, ceil((height - size) / stride) + 1, ceil((width - size) / stride) + 1, channels)`.

    Raises:
        ValueError: If a side is smaller than the stride, so that no window starts inside.
    """
    beyond = [-(side - size) % stride for side in x.shape[1:3]]
    if any(beyond):
        padding = [(0, missing) for missing in beyond]
        x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(size, stride, name=name)(x)


def pool_to_grid(x, grid: int, *, name: str):
    """`GridPooling2D`, or nothing where the image has that size: the layer has no weights.

    Raises:
        ValueError: If `grid` is less than 1.
    """
    if x.shape[1:3] == (grid, grid):
        return x
    return GridPooling2D(grid, name=name)(x)


@keras.saving.register_keras_serializable("vislearn")
class GridPooling2D(keras.layers.Layer):
    """Average over `grid` times `grid` windows, whatever the size of the image.

    A window reaches from floor(i * side / grid) to ceil((i + 1) * side / grid), as in torch's
    adaptive pooling; where the image is smaller than the grid, pixels are repeated. Keras's
    `AdaptiveAveragePooling2D` can't do that in a graph of TensorFlow's.

    Args:
        grid: Side of the output.

    Shape: `(batch, height, width, channels)` to `(batch, grid, grid, channels)`.

    Raises:
        ValueError: If `grid` is less than 1, or the image size is not known.
    """

    def __init__(self, grid: int, **kwargs):
        super().__init__(**kwargs)
        if grid < 1:
            raise ValueError(f"grid={grid!r} must be at least 1.")
        self.grid = grid

    def build(self, input_shape):
        if None in input_shape[1:3]:
            raise ValueError(f"GridPooling2D needs a fixed image size, not {input_shape}.")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.grid, self.grid, input_shape[-1])

    def call(self, inputs):
        # In float32 also under mixed precision: a third is no number of bfloat16.
        rows, columns = (self._shares(side) for side in inputs.shape[1:3])
        x = ops.einsum("bhwc,ih->biwc", ops.cast(inputs, "float32"), rows)
        x = ops.einsum("biwc,jw->bijc", x, columns)
        return ops.cast(x, inputs.dtype)

    def _shares(self, side: int):
        """What each pixel adds to each window, `(grid, side)`."""
        shares = np.zeros((self.grid, side), "float32")
        for index in range(self.grid):
            start, end = index * side // self.grid, -(-(index + 1) * side // self.grid)
            shares[index, start:end] = 1 / (end - start)
        return shares

    def get_config(self):
        return {**super().get_config(), "grid": self.grid}
