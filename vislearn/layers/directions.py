"""A dense layer whose units have vectors of one length."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class Directions(keras.layers.Layer):
    """Products with vectors of length 1: a dense layer with weight normalisation of fixed scale.

    In float32 whatever the precision of the inputs.

    Args:
        units: Number of vectors.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "glorot_normal", name="kernel")

    def call(self, x):
        """`(batch, dim)` to `(batch, units)`."""
        lengths = ops.sqrt(ops.sum(ops.square(self.kernel), axis=0))
        return ops.matmul(x, self.kernel / lengths)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
