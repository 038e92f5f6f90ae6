"""What a teacher says, less what it says on average (arXiv:2104.14294)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class Centering(keras.layers.Layer):
    """What comes in, less the moving average of its mean over the batch (equation 4).

    In float32 whatever the precision of the inputs.

    Args:
        momentum: Share of the average that is kept at each step of a training.
    """

    def __init__(self, momentum: float = 0.9, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.momentum = momentum

    def build(self, input_shape):
        self.center = self.add_weight((input_shape[-1],), "zeros", trainable=False, name="center")

    def call(self, x, training=None):
        """`(batch, dim)`, the same size."""
        centered = x - self.center
        if training:
            mean = ops.mean(x, axis=0)
            self.center.assign(self.momentum * self.center + (1 - self.momentum) * mean)
        return centered

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}
