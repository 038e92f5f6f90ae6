"""Maxout (Goodfellow et al. 2013, arXiv:1302.4389)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class Maxout(keras.layers.Layer):
    """The largest of several linear functions: a layer that learns its own convex activation.

    `h_i(x) = max_j (x W_ij + b_ij)` (section 3 of the paper).

    Args:
        units: Number of outputs.
        pieces: Linear functions that each output takes the maximum of, at least 2.
        kernel_initializer: Keras initialiser of the weights.

    Shape: `(batch, features)` to `(batch, units)`.

    Raises:
        ValueError: If `units` or `pieces` is out of range, or if the input is not `(batch,
            features)`.
    """

    def __init__(self, units: int, pieces: int = 5, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units={units!r} must be at least 1.")
        if pieces < 2:
            raise ValueError(f"pieces={pieces!r} must be at least 2: one piece is a linear layer.")
        self.units = units
        self.pieces = pieces
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        if len(input_shape) != 2:
            raise ValueError(f"Maxout takes (batch, features), and got the shape {input_shape}.")
        # One matrix for all pieces, so that an initialiser sees the fan of a linear layer.
        outputs = self.units * self.pieces
        self.kernel = self.add_weight(
            (input_shape[-1], outputs), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight((outputs,), initializer="zeros", name="bias")

    def call(self, inputs):
        x = ops.matmul(inputs, self.kernel) + self.bias
        x = ops.reshape(x, (-1, self.units, self.pieces))  # (batch, units, pieces)
        return ops.max(x, axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "pieces": self.pieces,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
