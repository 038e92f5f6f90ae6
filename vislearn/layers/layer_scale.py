"""A learned factor for each channel of a branch (Touvron et al. 2021, arXiv:2103.17239)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class LayerScale(keras.layers.Layer):
    """Multiplies each channel by a learned factor.

    With a small first value a deep network starts near the identity.

    Args:
        init_value: What each factor starts from.

    Shape: any `(batch, ..., channels)`, unchanged.
    """

    def __init__(self, init_value: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        self.init_value = init_value

    def build(self, input_shape):
        self.gamma = self.add_weight(
            (input_shape[-1],),
            initializer=keras.initializers.Constant(self.init_value),
            name="gamma",
        )

    def call(self, inputs):
        return inputs * ops.cast(self.gamma, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "init_value": self.init_value}
