"""Pooling that remembers where its maxima were, and unpooling that puts values back there.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
arXiv:1311.2901, section 2.1 (the "switches"); Badrinarayanan et al., "SegNet", 2015,
arXiv:1511.00561.
"""

import keras
from keras import ops

from vislearn.layers.pooling import window


@keras.saving.register_keras_serializable("vislearn")
class IndexedMaxPooling2D(keras.layers.Layer):
    """Maximum over windows, without padding, and the place of each maximum in its window.

    Places count row by row from 0 to `size`^2 - 1; of equal pixels the first one counts. They need
    no argmax, which LiteRT has not built in.

    Args:
        size: Side of the window.
        stride: Step in both directions; None for `size`.

    Shape: `(batch, height, width, channels)` to the maxima and int32 places, each `(batch,
        (height - size) // stride + 1, (width - size) // stride + 1, channels)`.

    Raises:
        ValueError: If an argument is less than 1, or the image smaller than the window.
    """

    def __init__(self, size: int = 2, stride: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.size, self.stride = window(size, stride)

    def build(self, input_shape):
        if any(side is not None and side < self.size for side in input_shape[1:3]):
            raise ValueError(f"size={self.size} is larger than the image of shape {input_shape}.")

    def call(self, inputs):
        rows, columns = (self._count(side) for side in ops.shape(inputs)[1:3])
        largest = None
        for place in range(self.size**2):
            row, column = divmod(place, self.size)
            # What stands at this place of each window: (batch, rows, columns, channels).
            pixels = inputs[
                :,
                row : row + (rows - 1) * self.stride + 1 : self.stride,
                column : column + (columns - 1) * self.stride + 1 : self.stride,
            ]
            if largest is None:
                largest, where = pixels, ops.zeros_like(pixels, dtype="int32")
                continue
            larger = pixels > largest
            largest = ops.where(larger, pixels, largest)
            where = ops.where(larger, place, where)
        return largest, where

    def _count(self, side):
        return (side - self.size) // self.stride + 1

    def get_config(self):
        return {**super().get_config(), "size": self.size, "stride": self.stride}


@keras.saving.register_keras_serializable("vislearn")
class MaxUnpooling2D(keras.layers.Layer):
    """Puts each value where the paired `IndexedMaxPooling2D` found the maximum, and zeros between.

    Where windows overlap, values that meet on a pixel are added: unpooling is then what
    backpropagation through the pooling does.

    Args:
        size, stride: Those of the pooling.
        output_size: Height and width of the image that was pooled; None for the smallest, which
            ends with the last window.

    Shape: values and places, each `(batch, rows, columns, channels)`, to `(batch, height, width,
        channels)`.

    Raises:
        ValueError: If an argument is less than 1, or the image another than the pooled one.
    """

    def __init__(
        self,
        size: int = 2,
        stride: int | None = None,
        output_size: tuple[int, int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size, self.stride = window(size, stride)
        self.output_size = None if output_size is None else tuple(output_size)

    def build(self, input_shape):
        values, places = input_shape
        if tuple(values[1:]) != tuple(places[1:]):
            raise ValueError(f"Values {values} and places {places} must have one shape.")
        if self.output_size is None:
            return
        pooled = tuple((side - self.size) // self.stride + 1 for side in self.output_size)
        if tuple(values[1:3]) != pooled:
            raise ValueError(
                f"output_size={self.output_size} is pooled to {pooled}, not to {values[1:3]}."
            )

    def call(self, inputs):
        values, where = inputs
        smallest = [(n - 1) * self.stride + self.size for n in ops.shape(values)[1:3]]
        height, width = self.output_size or smallest
        total = 0
        for place in range(self.size**2):
            row, column = divmod(place, self.size)
            x = ops.where(where == place, values, ops.zeros_like(values))
            x = _spread(_spread(x, 1, self.stride), 2, self.stride)
            below, right = height - row - ops.shape(x)[1], width - column - ops.shape(x)[2]
            total += ops.pad(x, [(0, 0), (row, below), (column, right), (0, 0)])
        return total

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "stride": self.stride,
            "output_size": self.output_size,
        }


def _spread(x, axis: int, stride: int):
    """Puts `stride - 1` zeros between neighbours along rows (axis 1) or columns (axis 2)."""
    if stride == 1:
        return x
    _, *shape = ops.shape(x)
    shape[axis - 1] *= stride
    # Zeros follow each: (batch, rows, stride, columns, channels) for rows.
    x = ops.stack([x, *[ops.zeros_like(x)] * (stride - 1)], axis=axis + 1)
    x = ops.reshape(x, (-1, *shape))
    # Those after the last are cut off, for they may stand beyond the image.
    return x[:, : 1 - stride] if axis == 1 else x[:, :, : 1 - stride]
