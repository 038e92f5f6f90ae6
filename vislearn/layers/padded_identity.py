"""The parameter-free shortcut of residual networks (arXiv:1512.03385, option A)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class PaddedIdentity(keras.layers.Layer):
    """Takes every `stride`-th pixel and appends channels of zeros.

    Args:
        filters: Number of output channels, at least that of the input.
        stride: Step in both directions.

    Shape: `(batch, height, width, channels)` to
        `(batch, ceil(height / stride), ceil(width / stride), filters)`.

    Raises:
        ValueError: If the input has more channels than `filters`.
    """

    def __init__(self, filters: int, stride: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride

    def build(self, input_shape):
        if input_shape[-1] > self.filters:
            raise ValueError(
                f"filters={self.filters} must be at least the {input_shape[-1]} input channels."
            )
        self.new_channels = self.filters - input_shape[-1]

    def call(self, inputs):
        if self.stride > 1:
            inputs = inputs[:, :: self.stride, :: self.stride]
        if self.new_channels:
            inputs = ops.pad(inputs, [(0, 0), (0, 0), (0, 0), (0, self.new_channels)])
        return inputs

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}
