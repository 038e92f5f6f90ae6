"""Self-attention by random features, FAVOR+ (Choromanski et al. 2021, arXiv:2009.14794)."""

import keras
from keras import ops

from vislearn.ops.favor import linear_attention, orthogonal_gaussian, positive_features


@keras.saving.register_keras_serializable("vislearn")
class FavorAttention(keras.layers.Layer):
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
        super().__init__(**kwargs)
        if num_features < 1:
            raise ValueError(f"num_features={num_features!r} must be at least 1.")
        self.num_heads = num_heads
        self.num_features = num_features
        self.seed = seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        dim = input_shape[-1]
        if self.num_heads < 1 or dim % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads!r} must divide dim={dim!r}.")
        for name, units in (("qkv", 3 * dim), ("output", dim)):
            kernel = self.add_weight(
                (dim, units), initializer=self.kernel_initializer, name=f"{name}_kernel"
            )
            bias = self.add_weight((units,), initializer="zeros", name=f"{name}_bias")
            setattr(self, f"{name}_kernel", kernel)
            setattr(self, f"{name}_bias", bias)
        self.projection = self.add_weight(
            (self.num_features, dim // self.num_heads),
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

    def call(self, inputs):
        _, tokens, dim = inputs.shape
        size = dim // self.num_heads
        joint = ops.matmul(inputs, self.qkv_kernel) + self.qkv_bias  # (batch, tokens, 3 * dim)

        def heads(x):
            x = ops.reshape(x, (-1, tokens, self.num_heads, size))
            x = ops.cast(x, "float32")
            return ops.transpose(x, (0, 2, 1, 3))  # (batch, heads, tokens, size)

        query, key, value = (heads(part) for part in ops.split(joint, 3, axis=-1))
        scale = size**-0.25  # A scalar product holds it twice: softmax attention's 1 / sqrt(size).
        query = positive_features(scale * query, self.projection, axis=-1)
        key = positive_features(scale * key, self.projection, axis=(-2, -1))
        x = linear_attention(query, key, value)  # (batch, heads, tokens, size)
        x = ops.cast(ops.transpose(x, (0, 2, 1, 3)), self.compute_dtype)
        x = ops.reshape(x, (-1, tokens, dim))
        return ops.matmul(x, self.output_kernel) + self.output_bias

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "num_features": self.num_features,
            "seed": self.seed,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
