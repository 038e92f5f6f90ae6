"""Errors of measured quantities, in the units of the targets.

While training as Keras metrics of standardised outputs, `AbsoluteError` and `RootSquaredError`; for
decoded answers in NumPy.
"""

import keras
import numpy as np
from keras import ops


class _Error(keras.metrics.Metric):
    """The mean of an error over all pictures and quantities.

    Args:
        name: Name of the curve.
        deviations: `(quantities,)`, what an output of 1 stands for.
        means: `(quantities,)`, what an output of 0 stands for.
    """

    def __init__(self, name: str, means, deviations):
        super().__init__(name=name)
        self.means, self.deviations = tuple(means), tuple(deviations)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def gaps(self, y_true, y_pred):
        means, deviations = (
            ops.convert_to_tensor(values, "float32") for values in (self.means, self.deviations)
        )
        return ops.cast(y_pred, "float32") * deviations + means - ops.cast(y_true, "float32")

    def add(self, errors):
        self.total.assign_add(ops.sum(errors))
        self.count.assign_add(ops.cast(ops.size(errors), "float32"))


class AbsoluteError(_Error):
    """Mean absolute error, `mae`."""

    def __init__(self, means, deviations, name="mae"):
        super().__init__(name, means, deviations)

    def update_state(self, y_true, y_pred, sample_weight=None):
        del sample_weight
        self.add(ops.abs(self.gaps(y_true, y_pred)))

    def result(self):
        return ops.divide_no_nan(self.total, self.count)


class RootSquaredError(_Error):
    """Root of the mean squared error, `rmse`."""

    def __init__(self, means, deviations, name="rmse"):
        super().__init__(name, means, deviations)

    def update_state(self, y_true, y_pred, sample_weight=None):
        del sample_weight
        self.add(ops.square(self.gaps(y_true, y_pred)))

    def result(self):
        return ops.sqrt(ops.divide_no_nan(self.total, self.count))


def summary(values: np.ndarray, targets: np.ndarray, names) -> dict[str, float]:
    """`mae` and `rmse` over all quantities, and where there are several, those of each.

    Args:
        values, targets: `(n, quantities)`.
        names: Names of the quantities.
    """
    gaps = np.asarray(values, np.float64) - np.asarray(targets, np.float64)
    found = {"mae": float(np.abs(gaps).mean()), "rmse": float(np.sqrt(np.square(gaps).mean()))}
    if len(names) > 1:
        for name, column in zip(names, gaps.T, strict=True):
            found[f"mae {name}"] = float(np.abs(column).mean())
            found[f"rmse {name}"] = float(np.sqrt(np.square(column).mean()))
    return found
