"""Squared error of quantities that are measured in different units."""

import keras
from keras import ops


class StandardizedSquaredError(keras.losses.Loss):
    """Mean squared error in units of each quantity's standard deviation.

    The network answers with standardised values; the targets are in their own units. So a network
    starts near the mean, quantities of any unit weigh alike, and 1 is the loss of one that always
    answers with the mean.

    Args:
        means, deviations: `(quantities,)`, those of the training targets.
    """

    def __init__(self, means, deviations):
        super().__init__(name="standardized_squared_error")
        self.means, self.deviations = tuple(means), tuple(deviations)

    def call(self, y_true, y_pred):
        means, deviations = (
            ops.convert_to_tensor(values, "float32") for values in (self.means, self.deviations)
        )
        targets = (ops.cast(y_true, "float32") - means) / deviations  # (batch, quantities)
        return ops.mean(ops.square(ops.cast(y_pred, "float32") - targets), axis=-1)
