"""Sampling that gradients pass through (Kingma and Welling 2014, arXiv:1312.6114, section 2.4)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class GaussianSample(keras.layers.Layer):
    """Draws from a Gaussian while training, and answers its mean in inference.

    `z = mean + exp(log_variance / 2) * noise` with standard normal noise: the reparameterisation
    trick, by which z depends on mean and variance in a differentiable way.

    Args:
        seed: Seed of the draws.

    Shape: `[mean, log_variance]`, each `(batch, ...)`, to `(batch, ...)`.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=None):
        mean, log_variance = inputs
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
