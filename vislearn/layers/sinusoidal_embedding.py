"""Sines and cosines of a time step (arXiv:1706.03762, section 3.5; arXiv:2006.11239)."""

import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class SinusoidalEmbedding(keras.layers.Layer):
    """Writes a number as `dim / 2` sines and as many cosines, of frequencies 1 down to 1e-4.

    Computed in float32 also under mixed precision: bfloat16 can't tell step 999 from step 1000.

    Args:
        dim: Size of the embedding; even, at least 4.

    Shape: `(batch,)` to `(batch, dim)`, the sines first.

    Raises:
        ValueError: If `dim` is odd or too small.
    """

    def __init__(self, dim: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if dim < 4 or dim % 2:
            raise ValueError(f"dim={dim!r} must be even and at least 4.")
        self.dim = dim
        self.built = True

    def call(self, inputs):
        half = self.dim // 2
        frequencies = np.exp(-math.log(1e4) * np.arange(half) / (half - 1)).astype("float32")
        angles = ops.cast(inputs, "float32")[:, None] * frequencies  # (batch, dim / 2)
        both = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)  # (batch, dim)
        return ops.cast(both, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.dim)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "dim": self.dim}
