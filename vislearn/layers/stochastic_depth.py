"""Stochastic depth (Huang et al. 2016, arXiv:1603.09382)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class StochasticDepth(keras.layers.Layer):
    """Drops a whole residual branch, example by example, while training.

    The branch of an example survives with probability `1 - rate` and is then divided by it, so
    that inference needs no change (the paper multiplies at test time instead; equal in
    expectation).

    Args:
        rate: Probability to drop the branch, 0 <= rate < 1.
        seed: Seed of the draws.

    Shape: any `(batch, ...)`, unchanged.

    Raises:
        ValueError: If the rate is out of range.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate!r} must be at least 0 and less than 1.")
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=None):
        if not training or self.rate == 0:
            return inputs
        keep = 1.0 - self.rate
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        draw = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        survives = ops.cast(draw < keep, inputs.dtype)
        return inputs * survives / keep

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def drop_rates(last: float, blocks: int) -> list[float]:
    """Rates that rise linearly with depth, from `last / blocks` to `last` (1603.09382, eq. 4)."""
    if not 0 <= last < 1:
        raise ValueError(f"drop_path_rate={last!r} must be at least 0 and less than 1.")
    return [last * (block + 1) / blocks for block in range(blocks)]
