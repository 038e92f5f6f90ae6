"""Smooth L1 (Girshick 2015, arXiv:1504.08083, equation 3)."""

from keras import ops


def smooth_l1(targets, values, *, beta: float = 1.0):
    """The absolute difference, rounded to a parabola where it is below `beta`.

    Args:
        targets: Any shape.
        values: Of the same shape.
        beta: Where the parabola goes over into the line; 0 for the plain absolute difference.

    Returns:
        The loss of each element, in the type of the values.

    Raises:
        ValueError: If `beta` is negative.
    """
    if beta < 0:
        raise ValueError(f"beta={beta!r} must be at least 0.")
    gap = ops.abs(values - targets)
    if beta == 0:
        return gap
    return ops.where(gap < beta, 0.5 * ops.square(gap) / beta, gap - 0.5 * beta)
