"""Early and late dropout for networks that have dropout: `--recipe dropout_schedule=early:10`.

Liu et al., "Dropout Reduces Underfitting", ICML 2023, arXiv:2303.01500.
"""

import keras

from vislearn.layers import ScheduledDropout, StochasticDepth
from vislearn.training.recipes import DROPOUT_SCHEDULE


def schedule_dropout(network: keras.Model, schedule: str, epoch_steps: int) -> keras.Model:
    """A network on the same weights, whose dropout and stochastic depth follow the steps.

    It is for the training only: what is saved, measured and exported is the network that was given,
    which learns with it.

    Args:
        network: A functional model, built with a rate above 0.
        schedule: `"early:N"`, dropout in the first N epochs only; `"linear:N"`, with rates that
            fall to zero over these; `"late:N"`, none in the first N.
        epoch_steps: Steps an epoch.

    Raises:
        ValueError: If the schedule is none of these, or the network has no dropout.
    """
    match = DROPOUT_SCHEDULE.fullmatch(schedule)
    if match is None:
        raise ValueError(f"dropout_schedule={schedule!r} must be early:N, linear:N or late:N.")
    kind, steps = match[1], int(match[2]) * epoch_steps
    exchanged = []

    def exchange(layer):
        if not isinstance(layer, keras.layers.Dropout | StochasticDepth) or not layer.rate:
            return layer
        shape = getattr(layer, "noise_shape", None)
        if isinstance(layer, StochasticDepth):
            shape = (None, *[1] * (len(layer.output.shape) - 1))  # Whole examples.
        exchanged.append(layer.name)
        return ScheduledDropout(
            layer.rate,
            kind,
            steps,
            noise_shape=shape,
            seed=layer.seed,
            name=layer.name,
            dtype=layer.dtype_policy,
        )

    scheduled = keras.models.clone_model(network, clone_function=exchange)
    if not exchanged:
        raise ValueError(
            f"dropout_schedule={schedule!r}: {network.name} has no dropout; build it with a rate, "
            "such as --option dropout=0.1 or drop_path_rate=0.1."
        )
    return scheduled
