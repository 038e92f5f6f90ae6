"""Self-attention by random features, FAVOR+ (Choromanski et al. 2021, arXiv:2009.14794)."""

import keras
from keras import ops

from vislearn.layers.self_attention import SelfAttention
from vislearn.ops.favor import linear_attention, orthogonal_gaussian, positive_features


@keras.saving.register_keras_serializable("vislearn")
class FavorAttention(SelfAttention):
    """Multi-head self-attention whose time is linear in the number of tokens.

    An unbiased estimate of the scores of softmax attention; see `vislearn.ops.favor` for the
    equations. The random vectors are the same for all heads. They are no trainable weights, but
    saved with them, so that a model answers the same wherever it is loaded. Features are computed
    in float32 also under mixed precision.

    Args:
        num_heads: Attention heads; it must divide the size of a token.
        num_features: Random features a head; more are nearer to softmax attention.
        seed: Seed of the random vectors.
        kernel_initializer: Keras initialiser of the projections.

    Shape: `(batch, tokens, dim)`, unchanged.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_heads: int,
        num_features: int = 256,
        seed: int = 0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(num_heads, kernel_initializer, **kwargs)
        if num_features < 1:
            raise ValueError(f"num_features={num_features!r} must be at least 1.")
        self.num_features = num_features
        self.seed = seed

    def build(self, input_shape):
        super().build(input_shape)
        self.projection = self.add_weight(
            (self.num_features, input_shape[-1] // self.num_heads),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                orthogonal_gaussian(*shape, self.seed), dtype
            ),
            trainable=False,
            autocast=False,
            name="projection",
        )

    def redraw(self, seed: int) -> None:
        """Draws other random vectors, as the paper does now and then in training."""
        self.projection.assign(orthogonal_gaussian(*self.projection.shape, seed))

    def _attend(self, query, key, value):
        query, key, x = (ops.cast(part, "float32") for part in (query, key, value))
        scale = query.shape[-1] ** -0.25  # A product holds it twice: softmax's 1 / sqrt(size).
        query = positive_features(scale * query, self.projection, axis=-1)
        key = positive_features(scale * key, self.projection, axis=(-2, -1))
        return ops.cast(linear_attention(query, key, x), value.dtype)

    def get_config(self):
        return {**super().get_config(), "num_features": self.num_features, "seed": self.seed}
