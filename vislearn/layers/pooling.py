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


def window(size: int, stride: int | None) -> tuple[int, int]:
    """Checked side and step of a pooling window, the step `size` where it is None.

    Raises:
        ValueError: If one is less than 1.
    """
    if size < 1:
        raise ValueError(f"size={size!r} must be at least 1.")
    if stride is not None and stride < 1:
        raise ValueError(f"stride={stride!r} must be at least 1.")
    return size, size if stride is None else stride


def pool_to_grid(x, grid: int, *, name: str):
    """`AdaptivePooling2D`, or nothing where the image has that size: the layer has no weights.

    Raises:
        ValueError: If `grid` is less than 1.
    """
    if grid < 1:
        raise ValueError(f"grid={grid!r} must be at least 1.")
    if x.shape[1:3] == (grid, grid):
        return x
    return AdaptivePooling2D(grid, name=name)(x)


@keras.saving.register_keras_serializable("vislearn")
class AdaptivePooling2D(keras.layers.Layer):
    """Average or maximum over a grid of windows, whatever the size of the image.

    Window i of n reaches from floor(i * side / n) to ceil((i + 1) * side / n), as in torch's
    adaptive pooling; where the image is smaller than the grid, pixels are repeated. Keras's
    adaptive layers can't do that in a graph of TensorFlow's.

    Args:
        size: Side of the grid, or its height and width.
        pooling: `"average"` or `"max"`.

    Shape: `(batch, height, width, channels)` to `(batch, *size, channels)`.

    Raises:
        ValueError: If an argument is out of range, or the image size is not known.
    """

    def __init__(self, size: int | tuple[int, int], pooling: str = "average", **kwargs):
        super().__init__(**kwargs)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size={size!r} must be at least 1, or two such numbers.")
        if pooling not in ("average", "max"):
            raise ValueError(f"pooling={pooling!r} must be 'average' or 'max'.")
        self.pooling = pooling

    def build(self, input_shape):
        if None in input_shape[1:3]:
            raise ValueError(f"AdaptivePooling2D needs a fixed image size, not {input_shape}.")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[-1])

    def call(self, inputs):
        rows, columns = (
            [(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]
            for side, count in zip(inputs.shape[1:3], self.size, strict=True)
        )
        if self.pooling == "max":
            return window_max(window_max(inputs, *_ends(rows), axis=1), *_ends(columns), axis=2)
        height, width = inputs.shape[1:3]
        # In float32 also under mixed precision: a third is no number of bfloat16.
        x = ops.einsum("bhwc,ih->biwc", ops.cast(inputs, "float32"), _shares(rows, height))
        x = ops.einsum("biwc,jw->bijc", x, _shares(columns, width))
        return ops.cast(x, inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "pooling": self.pooling}


def _shares(windows, side: int) -> np.ndarray:
    """What each pixel adds to the average of each window, `(windows, side)`."""
    shares = np.zeros((len(windows), side), "float32")
    for index, (start, end) in enumerate(windows):
        shares[index, start:end] = 1 / (end - start)
    return shares


def _ends(windows) -> tuple[np.ndarray, np.ndarray, int]:
    """Starts and ends of windows, and the length of the longest."""
    starts, ends = np.array(windows, "int32").T
    return starts, ends, int(max(ends - starts))


def window_max(x, starts, ends, longest: int, *, axis: int):
    """The maximum over windows of different lengths along rows or columns.

    Args:
        x: `(batch, height, width, channels)`.
        starts, ends: int32 `(windows,)`: first pixel of each window, and that after its last.
        longest: Most pixels of a window.
        axis: 1 for rows, 2 for columns.

    Returns:
        `x` with as many rows or columns as there are windows.
    """
    # Shorter windows have their last pixel several times, which is no matter to a maximum.
    pixels = ops.minimum(starts[:, None] + np.arange(longest, dtype="int32"), ends[:, None] - 1)
    return ops.max(ops.take(x, pixels, axis=axis), axis=axis + 1)


@keras.saving.register_keras_serializable("vislearn")
class L2Pooling2D(keras.layers.Layer):
    """The root of the sum of squares over each window, without padding.

    Lp pooling (Sermanet et al. 2012, arXiv:1204.3968) with p = 2 and equal weights in the window,
    as torch's `LPPool2d(2, ...)`.

    Args:
        size: Side of the window.
        stride: Step in both directions; None for `size`.

    Shape: `(batch, height, width, channels)` to `(batch, (height - size) // stride + 1, (width -
        size) // stride + 1, channels)`.

    Raises:
        ValueError: If an argument is less than 1.
    """

    def __init__(self, size: int = 2, stride: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.size, self.stride = window(size, stride)

    def call(self, inputs):
        # In float32: squares leave the range of float16, and bfloat16 loses small ones in a sum.
        squares = ops.square(ops.cast(inputs, "float32"))
        total = self.size**2 * ops.average_pool(squares, self.size, self.stride)
        # The slope of the root is infinite at 0, where ReLU puts whole windows: there it is 0.
        zero = total == 0
        root = ops.sqrt(ops.where(zero, 1.0, total))
        return ops.cast(ops.where(zero, 0.0, root), inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "stride": self.stride}
