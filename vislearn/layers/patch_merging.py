"""Neighbouring places of a feature map side by side (arXiv:2103.14030, section 3.1)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class PatchMerging(keras.layers.Layer):
    """Puts the channels of 2x2 neighbours side by side, column by column.

    An odd side is first filled up with zeros.

    Shape: `(batch, height, width, channels)` to
    `(batch, ceil(height / 2), ceil(width / 2), 4 * channels)`; height and width are fixed.
    """

    def call(self, inputs):
        height, width, channels = inputs.shape[1:]
        x = inputs
        if height % 2 or width % 2:
            x = ops.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        _, rows, columns, _ = self.compute_output_shape(inputs.shape)
        x = ops.reshape(x, (-1, 2, columns, 2, channels))
        x = ops.transpose(x, (0, 2, 3, 1, 4))  # (batch * rows, columns, across, down, channels)
        return ops.reshape(x, (-1, rows, columns, 4 * channels))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, -(-height // 2), -(-width // 2), 4 * channels)
