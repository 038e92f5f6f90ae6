"""Convolution with standardised kernels, in place of a normalised signal (arXiv:2101.08692)."""

import math

import keras
from keras import ops

from vislearn.layers.grouped_convolution import GroupedConv2D


@keras.saving.register_keras_serializable("vislearn")
class ScaledStandardizedConv2D(GroupedConv2D):
    """`Conv2D` with scaled weight standardisation and a learned gain for each output.

    The kernel of each output is brought to mean 0 and variance 1 / fan-in, so that white noise goes
    in and comes out with the same variance:

        gain * (kernel - mean) / sqrt(fan_in * (variance + epsilon))

    Args:
        filters, kernel_size: As for `keras.layers.Conv2D`.
        epsilon: Added to the variance of a kernel.
        **kwargs: Further arguments of `keras.layers.Conv2D`.

    Shape: `(batch, height, width, channels)`, as of `Conv2D`.
    """

    def __init__(self, filters, kernel_size, *, epsilon: float = 1e-5, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        super().build(input_shape)
        self.gain = self.add_weight((self.filters,), initializer="ones", name="gain")

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, ops.cast(self.standardized(kernel), inputs.dtype))

    def standardized(self, kernel):
        """The kernel that convolves, `(height, width, in, out)`, float32."""
        kernel = ops.cast(kernel, "float32")
        mean, variance = ops.moments(kernel, axes=(0, 1, 2), keepdims=True)
        fan_in = math.prod(kernel.shape[:3])
        scale = ops.cast(self.gain, "float32") * ops.rsqrt(fan_in * (variance + self.epsilon))
        return (kernel - mean) * scale

    def save_own_variables(self, store):
        # `Conv2D` knows of kernel and bias alone.
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
