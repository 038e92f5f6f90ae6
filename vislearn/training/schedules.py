"""Learning-rate schedules by name, those of Keras and those that Keras lacks.

In a recipe a schedule counts in shares of the training, so that it suits a training of any length;
the classes count in steps, from 0.
"""

import itertools
import math
from collections.abc import Sequence

import keras
from keras import ops

from vislearn.training.optimizers import is_number


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
        if not (0 <= start <= 1 and 0 <= end <= 1):
            raise ValueError(f"{start=} and {end=} must be between 0 and 1, as parts of the peak.")
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


@keras.saving.register_keras_serializable("vislearn")
class Cyclic(keras.optimizers.schedules.LearningRateSchedule):
    """Cycles: straight up to the peak and straight down again, over and over.

    Smith 2017, "Cyclical Learning Rates for Training Neural Networks", WACV, arXiv:1506.01186,
    section 3.1. The rate is `least + (peak - least) * triangle * height`, where the triangle goes
    from 0 to 1 and back in each cycle.

    Args:
        peak: Highest rate.
        least: Lowest rate.
        cycle: Steps of a cycle, twice the paper's step size.
        mode: `"triangular"` (height 1), `"triangular2"` (half the height of the cycle before) or
            `"exp_range"` (height `gamma ** step`).
        gamma: Factor a step of `"exp_range"`; no part of the other modes.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        peak: float,
        least: float,
        cycle: float,
        mode: str = "triangular",
        gamma: float = 1.0,
        name: str = "cyclic",
    ):
        super().__init__()
        if not 0 <= least < peak or cycle < 2:
            raise ValueError(f"{least=} must be at least 0 and below {peak=}, {cycle=} at least 2.")
        if mode not in CYCLIC_MODES:
            raise ValueError(f"{mode=} must be one of {CYCLIC_MODES}.")
        if not 0 < gamma <= 1 or (gamma < 1 and mode != "exp_range"):
            raise ValueError(f"{gamma=} must be above 0 and at most 1, and 1 for {mode=}.")
        self.peak, self.least, self.cycle = peak, least, cycle
        self.mode, self.gamma, self.name = mode, gamma, name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        cycles = step / self.cycle
        whole = ops.floor(cycles)
        triangle = 1.0 - ops.abs(2.0 * (cycles - whole) - 1.0)
        height = {
            "triangular": lambda: 1.0,
            "triangular2": lambda: ops.power(0.5, whole),
            "exp_range": lambda: ops.power(self.gamma, step),
        }[self.mode]()
        return self.least + (self.peak - self.least) * triangle * height

    def get_config(self):
        names = ("peak", "least", "cycle", "mode", "gamma", "name")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("vislearn")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A straight line from zero up to where another schedule starts, then that schedule.

    Goyal et al. 2017, arXiv:1706.02677, section 2.2.

    Args:
        after: A schedule, whose steps begin where the warm-up ends, or a constant rate.
        steps: Steps of the warm-up; the rate of step 0 is zero.

    Raises:
        ValueError: If there are no steps.
    """

    def __init__(self, after, steps: int, name: str = "warm_up"):
        super().__init__()
        if steps < 1:
            raise ValueError(f"{steps=} must be at least 1.")
        self.after, self.steps, self.name = after, steps, name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self._rate(0.0) * step / self.steps
        return ops.where(step < self.steps, rising, self._rate(ops.maximum(step - self.steps, 0.0)))

    def _rate(self, step):
        return self.after(step) if callable(self.after) else self.after

    def get_config(self):
        after = keras.saving.serialize_keras_object(self.after)
        return {"after": after, "steps": self.steps, "name": self.name}

    @classmethod
    def from_config(cls, config):
        after = keras.saving.deserialize_keras_object(config["after"])
        return cls(**{**config, "after": after})


def build_schedule(name: str, peak: float, steps: int, **options):
    """A schedule for a training of `steps` steps whose highest rate is `peak`.

    Args:
        name: A key of `SCHEDULES`, whose functions tell the options of each.
        peak: Highest learning rate.
        steps: Optimiser steps of the whole training.
        **options: Of the schedule; for each but `one_cycle`, which has its own, also `warmup`, the
            share of the steps in which the rate rises from zero before.

    Returns:
        A Keras schedule, or the peak where the rate stays.

    Raises:
        ValueError: If an option is unknown or out of range.
    """
    build = SCHEDULES[name]
    options = {**_DEFAULT_WARMUP.get(name, {}), **options}
    warmup = 0.0 if name == "one_cycle" else options.pop("warmup", 0.0)
    _check("warmup", warmup, "at least 0 and below 1", is_number(warmup) and 0 <= warmup < 1)
    known = build.__kwdefaults__ or {}
    if unknown := sorted(options.keys() - known.keys()):
        raise ValueError(
            f"schedule_options has {unknown}; {name} takes {sorted({*known, 'warmup'})}."
        )
    rising = max(1, int(warmup * steps)) if warmup else 0
    schedule = build(peak, max(1, steps - rising), **options)
    return WarmUp(schedule, rising) if rising else schedule


def _check(name: str, value, rule: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"schedule_options: {name}={value!r} must be {rule}.")


def _constant(peak, steps):
    del steps
    return float(peak)  # Keras takes no integer.


def _step(peak, steps, *, every: float = 1 / 3, factor: float = 0.1):
    """Times `factor` after each share `every` of the training."""
    _check("every", every, "above 0 and at most 1", is_number(every) and 0 < every <= 1)
    _check("factor", factor, "positive", is_number(factor) and factor > 0)
    return keras.optimizers.schedules.ExponentialDecay(
        peak, max(1, round(every * steps)), factor, staircase=True
    )


def _multiplicative(
    peak, steps, *, at: Sequence[float] = (0.5, 0.75), factors: Sequence[float] = (0.1, 0.1)
):
    """Times each of `factors` at its own share of the training (He et al., arXiv:1512.03385)."""
    listed = isinstance(at, (list, tuple)) and isinstance(factors, (list, tuple))
    _check("at", at, "a list of shares, as `factors` a list of numbers", listed and len(at) > 0)
    rising = all(map(is_number, at)) and all(
        one < two for one, two in itertools.pairwise([0.0, *at, 1.0])
    )
    _check("at", at, "shares above 0 and below 1, in order", rising)
    positive = all(is_number(factor) and factor > 0 for factor in factors)
    fit = len(factors) == len(at) and positive
    _check("factors", factors, "a positive number for each of `at`", fit)
    rates = [peak * math.prod(factors[:count]) for count in range(len(factors) + 1)]
    # Keras holds a rate up to and including its boundary.
    boundaries = [round(share * steps) - 1 for share in at]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)


def _exponential(peak, steps, *, end: float = 0.01):
    """Times the same factor at each step, so that the last rate is `end` times the peak."""
    _check("end", end, "positive", is_number(end) and end > 0)
    return keras.optimizers.schedules.ExponentialDecay(peak, steps, end)


def _cosine(peak, steps, *, end: float = 0.0):
    """Half a cosine down to `end` times the peak (arXiv:1608.03983, equation 5, one period)."""
    _check("end", end, "between 0 and 1", is_number(end) and 0 <= end <= 1)
    return keras.optimizers.schedules.CosineDecay(peak, steps, alpha=end)


def _cyclic(
    peak,
    steps,
    *,
    mode: str = "triangular",
    cycles: float = 4,
    least: float = 0.1,
    decay: float | None = None,
):
    """So many cycles, from `least` times the peak; with `exp_range` the last is `decay` as high."""
    _check("mode", mode, f"one of {CYCLIC_MODES}", mode in CYCLIC_MODES)
    _check("cycles", cycles, "positive", is_number(cycles) and cycles > 0)
    _check("least", least, "at least 0 and below 1", is_number(least) and 0 <= least < 1)
    if mode == "exp_range":
        decay = 0.1 if decay is None else decay
        _check("decay", decay, "above 0 and at most 1", is_number(decay) and 0 < decay <= 1)
    else:
        _check("decay", decay, f"left out with mode={mode}", decay is None)
    gamma = 1.0 if decay is None else decay ** (1 / steps)
    return Cyclic(peak, least * peak, max(2.0, steps / cycles), mode, gamma)


def _one_cycle(peak, steps, *, warmup: float = 0.3, start: float = 0.04, end: float = 1e-4):
    """See `OneCycle`."""
    for name, value in (("warmup", warmup), ("start", start), ("end", end)):
        _check(name, value, "at least 0 and below 1", is_number(value) and 0 <= value < 1)
    return OneCycle(peak, steps, warmup, start, end)


CYCLIC_MODES = ("triangular", "triangular2", "exp_range")
SCHEDULES = {
    "constant": _constant,
    "step": _step,
    "multiplicative": _multiplicative,
    "exponential": _exponential,
    "cosine": _cosine,
    "cyclic": _cyclic,
    "one_cycle": _one_cycle,
}
_DEFAULT_WARMUP = {"cosine": {"warmup": 0.05}}
