"""Learned positions (Vaswani et al. 2017, arXiv:1706.03762; arXiv:2010.11929, equation 1)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each token, by its place.

    Attention alone can't tell one place from another.

    Args:
        grid: `(rows, columns)` of the patches, which are the last tokens; so that positions learned
            on another grid can be interpolated when weights are loaded. None if they form no grid.

    Shape: `(batch, tokens, dim)`, unchanged; the number of tokens is fixed.

    Raises:
        ValueError: If the number of tokens is not known.
    """

    def __init__(self, grid: tuple[int, int] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.grid = None if grid is None else tuple(grid)

    def build(self, input_shape):
        if input_shape[1] is None:
            raise ValueError(
                f"PositionEmbedding needs a fixed number of tokens, not {input_shape}."
            )
        self.positions = self.add_weight(
            (1, *input_shape[1:]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="position_embedding",
        )

    def call(self, inputs):
        return inputs + ops.cast(self.positions, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "grid": self.grid}
