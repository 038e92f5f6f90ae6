"""SkipInit (De and Smith 2020, arXiv:2002.10444): one learned factor for a residual branch."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class SkipInit(keras.layers.Layer):
    """Multiplies a branch by a learned number that starts from zero.

    A network without normalisation then starts as the identity.

    Args:
        scale: A constant factor beside the learned one.

    Shape: any, unchanged.
    """

    def __init__(self, scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, input_shape):
        self.gain = self.add_weight((), initializer="zeros", name="gain")

    def call(self, inputs):
        return inputs * ops.cast(self.scale * self.gain, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
