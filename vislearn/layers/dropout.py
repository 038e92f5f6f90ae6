"""Dropout in other places and at other times than Keras's.

Srivastava et al., "Dropout", JMLR 2014, is `keras.layers.Dropout`.
"""

import keras
from keras import ops

SCHEDULES = ("early", "linear", "late")


@keras.saving.register_keras_serializable("vislearn")
class MonteCarloDropout(keras.layers.Dropout):
    """Dropout that is on in inference, too (Gal and Ghahramani 2016, arXiv:1506.02142).

    The spread of several answers to one image then tells how sure a network is. It is for networks
    that are to be saved so; `vislearn.training.monte_carlo` asks a network with usual dropout.
    Arguments and shape are those of `keras.layers.Dropout`.
    """

    def call(self, inputs, training=None):
        del training
        return super().call(inputs, training=True)


def strength(schedule: str, step, steps: int):
    """What a dropout rate is multiplied by at a step, float32 (Liu et al. 2023, arXiv:2303.01500).

    Args:
        schedule: `"early"`: 1 in the first `steps` steps, then 0; `"linear"`: falls from 1 to 0 in
            the first `steps`; `"late"`: 0 in the first `steps`, then 1.
        step: Number of the step, from 0.
        steps: See `schedule`.
    """
    if schedule == "linear":
        return ops.maximum(0.0, 1.0 - ops.cast(step, "float32") / steps)
    early = step < steps
    return ops.cast(early if schedule == "early" else ops.logical_not(early), "float32")


@keras.saving.register_keras_serializable("vislearn")
class ScheduledDropout(keras.layers.Dropout):
    """Dropout in the beginning of the training only, or not in its beginning.

    Early dropout (Liu et al. 2023, arXiv:2303.01500) is for networks that underfit, late dropout
    for those that overfit. The layer counts its calls in training itself, and so goes on where it
    was when a training is resumed.

    Args:
        rate: Probability to drop, 0 <= rate < 1.
        schedule: `"early"`, `"linear"` (early, with a rate that falls to zero) or `"late"`; see
            `strength`.
        steps: Steps after which dropout ends or begins.
        noise_shape: As of `keras.layers.Dropout`; `(None, 1, 1, 1)` drops whole examples, which is
            stochastic depth.
        seed: Seed of the draws.

    Shape: any, unchanged.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, rate, schedule, steps, noise_shape=None, seed=None, **kwargs):
        super().__init__(rate, noise_shape=noise_shape, seed=seed, **kwargs)
        if rate == 1:
            raise ValueError("rate=1 must be less than 1.")
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule={schedule!r} must be one of {SCHEDULES}.")
        if steps < 1:
            raise ValueError(f"steps={steps!r} must be at least 1.")
        self.schedule, self.steps = schedule, steps

    def build(self, input_shape):
        del input_shape
        self.step = self.add_weight(
            (), initializer="zeros", dtype="int32", trainable=False, name="step"
        )

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        keep = 1.0 - self.rate * strength(self.schedule, self.step, self.steps)
        self.step.assign(self.step + 1)
        # Keras's function takes no tensor for a rate.
        shape = ops.shape(inputs)
        if self.noise_shape is not None:
            shape = [
                full if side is None else side
                for side, full in zip(self.noise_shape, shape, strict=True)
            ]
        draw = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return inputs * ops.cast(ops.where(draw < keep, 1.0 / keep, 0.0), inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "schedule": self.schedule, "steps": self.steps}


@keras.saving.register_keras_serializable("vislearn")
class DropConnect(keras.layers.Dense):
    """A dense layer that loses random weights while training.

    Wan et al., "Regularization of Neural Networks using DropConnect", ICML 2013: `y = a((M * W) x +
    m * b)`, where M and m are zeros and ones that are drawn for each example. What is left is
    divided by `1 - rate`, so that inference uses the mean weights; the paper draws the outputs from
    a Gaussian of the same mean and variance there, and averages over the activation.

    Args:
        units: Number of outputs.
        rate: Probability to drop a weight, 0 <= rate < 1.
        per_example: Whether each example loses weights of its own, for which `(batch, features,
            units)` numbers have to be held; else all of a batch lose the same.
        seed: Seed of the draws.
        **kwargs: Further arguments of `keras.layers.Dense`.

    Shape: `(batch, features)` to `(batch, units)`.

    Raises:
        ValueError: If the rate is out of range, or the input is not `(batch, features)`.
    """

    def __init__(
        self,
        units: int,
        rate: float = 0.5,
        per_example: bool = True,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate!r} must be at least 0 and less than 1.")
        self.rate, self.per_example, self.seed = rate, per_example, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        if len(input_shape) != 2:
            raise ValueError(f"DropConnect takes (batch, features), and got {input_shape}.")
        super().build(input_shape)

    def call(self, inputs, training=None):
        if not training or self.rate == 0:
            return super().call(inputs, training=training)
        examples = ops.shape(inputs)[0] if self.per_example else 1
        kernel = self._masked(self.kernel, examples, inputs.dtype)  # (examples, features, units)
        x = ops.matmul(inputs[:, None], kernel)[:, 0]  # (batch, units)
        if self.use_bias:
            x += self._masked(self.bias, examples, inputs.dtype)
        return x if self.activation is None else self.activation(x)

    def _masked(self, weight, examples, dtype):
        """The weight with zeros in it, `(examples, *weight.shape)`."""
        keep = 1.0 - self.rate
        shape = (examples, *weight.shape)
        draw = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return ops.cast(weight, dtype) * ops.cast(ops.where(draw < keep, 1 / keep, 0.0), dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "per_example": self.per_example,
            "seed": self.seed,
        }
