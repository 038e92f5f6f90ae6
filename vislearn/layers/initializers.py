"""Initializers of layers that have more than one kernel."""

import keras


def independent(initializer):
    """The same initializer with random values of its own.

    One that is used twice draws the same values each time, scaled to the fan. Where the user gave
    it a seed they remain the same.
    """
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer  # A function of the user's.
