"""Fractional max pooling (Graham 2014, arXiv:1412.6071)."""

import math

import keras
import numpy as np
from keras import ops

from vislearn.layers.pooling import window_max

_PHASES = 64  # Steps of the offset u: products stay in 32 bits up to 5,000 pixels a side.


@keras.saving.register_keras_serializable("vislearn")
class FractionalMaxPooling2D(keras.layers.Layer):
    """Maximum over windows of uneven lengths, so that an image may shrink by less than a half.

    Window i of n reaches from a_i to a_(i+1), where a_i = ceil(ratio * (i + u)) - ceil(ratio * u)
    with the ratio side / n: the paper's pseudo-random sequence, started at pixel 0. While training
    u is drawn anew for each batch, for rows and columns apart; in inference it is 1/2. The paper's
    random sequences, whose steps are shuffled, are left out.

    Args:
        ratio: By how much the sides shrink, above 1 (the paper: between 1 and 2).
        overlapping: Whether windows share the pixel at their border.
        seed: Seed of the draws.

    Shape: `(batch, height, width, channels)` to `(batch, floor(height / ratio), floor(width /
        ratio), channels)`.

    Raises:
        ValueError: If the ratio is not above 1, or the image size is not known or smaller than the
            ratio.
    """

    def __init__(
        self, ratio: float = 2**0.5, overlapping: bool = True, seed: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        if not 1 < ratio < math.inf:
            raise ValueError(f"ratio={ratio!r} must be above 1.")
        self.ratio, self.overlapping, self.seed = ratio, overlapping, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        sides = input_shape[1:3]
        if None in sides or min(sides) < self.ratio:
            raise ValueError(
                f"FractionalMaxPooling2D needs an image of a fixed size, of at least {self.ratio} "
                f"pixels a side, not {input_shape}."
            )

    def call(self, inputs, training=None):
        phases = [_PHASES // 2] * 2
        if training:
            phases = keras.random.randint((2,), 1, _PHASES, seed=self.seed_generator)
        x = inputs
        for axis in (1, 2):
            side = inputs.shape[axis]
            count = self._count(side)
            borders = pooling_sequence(side, count, phases[axis - 1])
            ends = borders[1:]
            if self.overlapping:
                ends = ops.minimum(ends + 1, side)
            longest = -(-side // count) + self.overlapping
            x = window_max(x, borders[:-1], ends, longest, axis=axis)
        return x

    def _count(self, side: int) -> int:
        return math.floor(side / self.ratio)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, self._count(height), self._count(width), channels)

    def get_config(self):
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "overlapping": self.overlapping,
            "seed": self.seed,
        }


def pooling_sequence(side: int, count: int, phase):
    """The borders between windows, int32 `(count + 1,)`: from 0 to `side`, in even steps.

    Args:
        side: Pixels.
        count: Windows.
        phase: u in units of 1/64, an integer between 0 and 64; may be a tensor.
    """
    steps = _PHASES * np.arange(count + 1, dtype="int32")
    # ceil(side / count * (i + u)), in integers so that no border depends on rounding.
    borders = -(-side * (steps + phase) // (_PHASES * count))
    return borders - borders[0]
