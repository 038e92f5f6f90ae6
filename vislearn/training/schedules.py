"""Learning-rate schedules that Keras lacks."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """One cycle: a half cosine up to the peak, a half cosine down to nearly nothing.

    Smith and Topin 2018, arXiv:1708.07120, with cosines in place of the straight lines.

    Args:
        peak: Highest learning rate.
        steps: Length of the cycle in optimiser steps; the last rate holds from there on.
        warmup: Part of the steps spent going up, 0 to 1.
        start: First rate as a fraction of the peak.
        end: Last rate as a fraction of the peak.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        peak: float,
        steps: int,
        warmup: float = 0.3,
        start: float = 0.04,
        end: float = 1e-4,
        name: str = "one_cycle",
    ):
        super().__init__()
        if peak <= 0 or steps < 1 or not 0 <= warmup < 1:
            raise ValueError(
                f"{peak=} must be positive, {steps=} at least 1, {warmup=} at least 0 and below 1."
            )
        self.peak, self.steps, self.warmup = peak, steps, warmup
        self.start, self.end, self.name = start, end, name

    def __call__(self, step):
        progress = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        up = progress / max(self.warmup, 1e-9)
        down = (progress - self.warmup) / (1.0 - self.warmup)

        def half_cosine(first, last, part):
            return last + (first - last) * 0.5 * (1.0 + ops.cos(math.pi * part))

        factor = ops.where(
            progress < self.warmup,
            half_cosine(self.start, 1.0, up),
            half_cosine(1.0, self.end, down),
        )
        return self.peak * factor

    def get_config(self):
        names = ("peak", "steps", "warmup", "start", "end", "name")
        return {name: getattr(self, name) for name in names}
