"""Losses of a classifier's raw outputs: the twelve of the course's table, and three more.

Janocha and Czarnecki, "On Loss Functions for Deep Neural Networks in Classification", Schedae
Informaticae 2016, arXiv:1702.05659, Table 1. Every function takes

    y  targets `(batch, classes)`: one-hot, or a distribution where that has a meaning,
    t  for the margin losses, the same as signs: +1 for the true class, -1 for the others,
    o  raw outputs `(batch, classes)`, of which p = softmax(o) is the estimate of y,

all in float32, and returns the loss of each example `(batch,)`. `ClassificationLoss` makes a Keras
loss of any of them. Those of p can be read as probabilities; after training with a loss of o (l1,
l2, the hinges) the largest output still names the class, but p says little about how sure it is.
"""

import inspect
import math

import keras
from keras import ops

from vislearn.losses.focal import sigmoid_focal_loss


def l1(y, o):
    """sum_j |y_j - o_j|."""
    return ops.sum(ops.abs(y - o), axis=-1)


def l2(y, o):
    """sum_j (y_j - o_j)^2: `classes` times the mean squared error."""
    return ops.sum(ops.square(y - o), axis=-1)


def expectation(y, o):
    """sum_j |y_j - p_j| (L1 o sigma).

    For a single true class it is 2 (1 - p_true): twice the error rate of drawing classes from p.
    """
    return l1(y, ops.softmax(o))


def regularized_expectation(y, o):
    """sum_j (y_j - p_j)^2 (L2 o sigma).

    For a single true class it is 1 - 2 p_true + sum_j p_j^2: the expected errors, and a price for
    being sure.
    """
    return l2(y, ops.softmax(o))


def chebyshev(y, o):
    """max_j |y_j - p_j| (L-infinity o sigma)."""
    return ops.max(ops.abs(y - ops.softmax(o)), axis=-1)


def _shortfall(t, o, margin: float):
    """max(0, margin - t_j o_j): how much each output lacks on its side of zero."""
    if not 0 < margin < math.inf:
        raise ValueError(f"margin={margin!r} must be positive.")
    return ops.relu(margin - t * o)


def hinge(t, o, *, margin: float = 0.5):
    """sum_j max(0, margin - t_j o_j): each class against all others; the paper's margin is 1/2."""
    return ops.sum(_shortfall(t, o, margin), axis=-1)


def squared_hinge(t, o, *, margin: float = 0.5):
    """sum_j max(0, margin - t_j o_j)^2."""
    return ops.sum(ops.square(_shortfall(t, o, margin)), axis=-1)


def cubed_hinge(t, o, *, margin: float = 0.5):
    """sum_j max(0, margin - t_j o_j)^3."""
    return ops.sum(_shortfall(t, o, margin) ** 3, axis=-1)


def log(y, o):
    """-sum_j y_j log p_j: the cross entropy."""
    return -ops.sum(y * ops.log_softmax(o), axis=-1)


def squared_log(y, o):
    """sum_j (y_j log p_j)^2; the table has a minus before it, with which it had no minimum."""
    return ops.sum(ops.square(y * ops.log_softmax(o)), axis=-1)


def tanimoto(y, o):
    """-y.p / (|p|^2 + |y|^2 - y.p): the negative Tanimoto coefficient, -1 to 0."""
    p = ops.softmax(o)
    shared = ops.sum(y * p, axis=-1)
    return -shared / (ops.sum(ops.square(p) + ops.square(y), axis=-1) - shared)


def cauchy_schwarz(y, o):
    """-log(y.p / (|y| |p|)): the Cauchy-Schwarz divergence, 0 where p is y."""
    log_p = ops.log_softmax(o)
    # In logarithms, for a p that is 0 in float32 has no logarithm. That of a y_j of 0 is minus
    # infinity, and rightly adds nothing to the sum.
    shared = ops.logsumexp(log_p + ops.log(y), axis=-1)
    norm_p = 0.5 * ops.logsumexp(2.0 * log_p, axis=-1)
    norm_y = 0.5 * ops.log(ops.sum(ops.square(y), axis=-1))
    return norm_p + norm_y - shared


def kl_divergence(y, o):
    """sum_j y_j log(y_j / p_j): the cross entropy less the entropy of y, 0 where p is y."""
    log_y = ops.log(ops.where(y > 0, y, 1.0))  # 0 log 0 is 0.
    return ops.sum(y * (log_y - ops.log_softmax(o)), axis=-1)


def focal(y, o, *, gamma: float = 2.0):
    """-sum_j y_j (1 - p_j)^gamma log p_j: what is easy counts little (arXiv:1708.02002, eq. 4)."""
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma={gamma!r} must be at least 0.")
    log_p = ops.log_softmax(o)
    # The bound keeps the slope of a power below 1 finite where p is 1.
    miss = ops.maximum(-ops.expm1(log_p), 1e-12)
    return -ops.sum(y * ops.power(miss, gamma) * log_p, axis=-1)


def sigmoid_focal(y, o, *, alpha: float = 0.25, gamma: float = 2.0):
    """The sum over the classes of `sigmoid_focal_loss`: each class against all others."""
    return ops.sum(sigmoid_focal_loss(y, o, alpha=alpha, gamma=gamma), axis=-1)


# Those that are least where the answer is the target, also where the target is no single class.
OF_DISTRIBUTIONS = {
    "l1": l1,
    "l2": l2,
    "expectation": expectation,
    "regularized_expectation": regularized_expectation,
    "chebyshev": chebyshev,
    "log": log,
    "tanimoto": tanimoto,
    "cauchy_schwarz": cauchy_schwarz,
    "kl_divergence": kl_divergence,
}
OF_SIGNS = {"hinge": hinge, "squared_hinge": squared_hinge, "cubed_hinge": cubed_hinge}
OF_ONE_CLASS = {"squared_log": squared_log, "focal": focal, "sigmoid_focal": sigmoid_focal}
FORMULAS = OF_DISTRIBUTIONS | OF_SIGNS | OF_ONE_CLASS


@keras.saving.register_keras_serializable("vislearn")
class ClassificationLoss(keras.losses.Loss):
    """A loss of this module, by name; the default is the usual cross entropy.

    Args:
        formula: One of `FORMULAS`, such as `"cubed_hinge"`.
        label_smoothing: Probability mass spread over all classes, 0 to 1 (Szegedy 2016,
            arXiv:1512.00567); the target is then a distribution.
        options: Keyword arguments of the formula, such as `{"margin": 1.0}`.
        signs: Whether the targets are -1 and +1 `(batch, classes)`, of which several may be +1; for
            the formulas `OF_SIGNS`.

    Shape: outputs `(batch, classes)`, at least two, with class numbers `(batch,)` or `(batch, 1)`,
        or with one-hot targets `(batch, classes)`; the formulas `OF_DISTRIBUTIONS` take any
        distribution, such as mixed labels. The loss of each example `(batch,)` before reduction,
        in float32.

    An example whose target is none has the loss NaN, which ends a training: a class number that is
    no output's, a negative probability, a sign other than -1 and +1, and a mixed label where a
    formula takes a single class. A graph cannot raise errors about values.

    Raises:
        ValueError: If an argument is out of range, or targets have another shape.
    """

    def __init__(
        self,
        formula: str = "log",
        label_smoothing: float = 0.0,
        options: dict[str, float] | None = None,
        signs: bool = False,
        name: str | None = None,
        **kwargs,
    ):
        super().__init__(name=name or formula, **kwargs)
        if formula not in FORMULAS:
            raise ValueError(f"loss={formula!r} must be one of {sorted(FORMULAS)}.")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing!r} must be between 0 and 1.")
        if label_smoothing and formula not in OF_DISTRIBUTIONS:
            raise ValueError(
                f"label_smoothing={label_smoothing!r} must be 0 with loss={formula!r}: smoothed "
                f"labels are distributions, which only {sorted(OF_DISTRIBUTIONS)} take."
            )
        if signs and formula not in OF_SIGNS:
            raise ValueError(f"signs=True: loss={formula!r} is none of {sorted(OF_SIGNS)}.")
        known = inspect.getfullargspec(FORMULAS[formula]).kwonlyargs
        if unknown := sorted({*(options or {})} - {*known}):
            raise ValueError(f"options={unknown}: loss={formula!r} has the options {known}.")
        for option, value in (options or {}).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise ValueError(f"options: {option}={value!r} must be a finite number.")
        self.formula = formula
        self.label_smoothing = label_smoothing
        self.options = dict(options or {})
        self.signs = signs

    def call(self, y_true, y_pred):
        return FORMULAS[self.formula](self._targets(y_true, y_pred), y_pred, **self.options)

    def _targets(self, y_true, y_pred):
        """What the formula takes, `(batch, classes)`."""
        classes = y_pred.shape[-1]
        if classes < 2:
            raise ValueError(f"Outputs of the shape {tuple(y_pred.shape)} need at least 2 classes.")
        if len(y_true.shape) == 2 and y_true.shape[1] == classes:
            y = y_true
        elif self.signs or len(y_true.shape) > 2 or y_true.shape[1:] not in ((), (1,)):
            raise ValueError(
                f"Targets have the shape {tuple(y_true.shape)} beside {classes} outputs, and must "
                f"be {'signs' if self.signs else 'class numbers (batch,) or distributions'} "
                f"(batch, {classes})."
            )
        else:
            numbers = ops.cast(ops.reshape(y_true, (-1,)), "int32")
            y = ops.one_hot(numbers, classes, dtype="float32")
            y = ops.where(ops.sum(y, axis=-1, keepdims=True) == 1.0, y, math.nan)
        if self.signs:
            return ops.where(ops.abs(y) == 1.0, y, math.nan)
        if self.formula in OF_DISTRIBUTIONS:
            y = ops.where(y >= 0.0, y, math.nan)
        else:
            one_hot = ops.sum(y, axis=-1, keepdims=True) == 1.0
            y = ops.where(one_hot & ((y == 0.0) | (y == 1.0)), y, math.nan)
        if self.formula in OF_SIGNS:
            return 2.0 * y - 1.0
        if not self.label_smoothing:
            return y
        return y * (1.0 - self.label_smoothing) + self.label_smoothing / classes

    def get_config(self):
        return {
            **super().get_config(),
            "formula": self.formula,
            "label_smoothing": self.label_smoothing,
            "options": self.options,
            "signs": self.signs,
        }
