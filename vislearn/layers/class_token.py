"""The learned token whose answer stands for the whole image (arXiv:1810.04805, 2010.11929)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class ClassToken(keras.layers.Layer):
    """Puts one learned token before the others.

    Shape: `(batch, tokens, dim)` to `(batch, 1 + tokens, dim)`.
    """

    def build(self, input_shape):
        self.token = self.add_weight(
            (1, 1, input_shape[-1]), initializer="zeros", name="class_token"
        )

    def call(self, inputs):
        token = ops.cast(self.token, inputs.dtype)
        token = ops.broadcast_to(token, (ops.shape(inputs)[0], 1, inputs.shape[-1]))
        return ops.concatenate([token, inputs], axis=1)

    def compute_output_shape(self, input_shape):
        batch, tokens, dim = input_shape
        return (batch, tokens + 1, dim)
