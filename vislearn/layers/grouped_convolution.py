"""Convolution in groups (Krizhevsky et al. 2012; arXiv:1611.05431, section 3.3)."""

import math

import keras
import numpy as np
from keras import ops

from vislearn import backend

# Channels below which one convolution of several groups, mostly zeros, is as fast as several.
BLOCK = 32


@keras.saving.register_keras_serializable("vislearn")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with `groups`, but fit to train on a CPU and to export.

    Same arguments, weights, configuration and results. TensorFlow has no gradient of a grouped
    convolution on a CPU, so that Keras compiles each such layer with XLA: that takes a hundred
    times as long to train, and ONNX cannot express it. Here the groups are convolved one by one;
    groups of few channels are joined, up to `BLOCK` channels, by a kernel that is zero between
    them. JAX on an accelerator convolves all groups at once, as Keras does.

    Shape: `(batch, height, width, channels)` to `(batch, out_height, out_width, filters)`.

    Raises:
        ValueError: As `keras.layers.Conv2D`, and if `data_format` is not channels last.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.data_format != "channels_last":
            raise ValueError(f"data_format={self.data_format!r} must be 'channels_last'.")

    def convolution_op(self, inputs, kernel):
        if self.groups == 1 or backend.convolves_in_groups():
            return super().convolution_op(inputs, kernel)
        joined = _joined(self.groups, kernel.shape[2])
        blocks = self.groups // joined
        inputs = ops.split(inputs, blocks, axis=-1)
        kernels = ops.split(kernel, blocks, axis=-1)
        if joined > 1:
            # Each output sees the inputs of its own group: the others meet zeros.
            # LiteRT's converter computes this product itself, and not a tile of the kernel.
            channels = kernel.shape[2]
            inside = np.kron(np.eye(joined), np.ones((channels, kernel.shape[3] // self.groups)))
            inside = inside.reshape(joined, channels, -1)
            inside = ops.convert_to_tensor(inside, dtype=kernel.dtype)
            whole = (*self.kernel_size, joined * channels, -1)
            kernels = [ops.reshape(one[:, :, None] * inside, whole) for one in kernels]
        outputs = [
            super(GroupedConv2D, self).convolution_op(x, one)
            for x, one in zip(inputs, kernels, strict=True)
        ]
        return ops.concatenate(outputs, axis=-1) if blocks > 1 else outputs[0]


def _joined(groups: int, channels: int) -> int:
    """How many groups of so many channels make a block: a divisor of their number."""
    return math.gcd(groups, 2 ** int(math.log2(max(1, BLOCK // channels))))
