"""Focal loss (Lin et al. 2017, arXiv:1708.02002)."""

from keras import ops


def sigmoid_focal_loss(targets, logits, *, alpha: float = 0.25, gamma: float = 2.0):
    """Cross entropy of independent classes in which what is easy counts little (equation 5).

    `-alpha_t (1 - p_t)^gamma log(p_t)`, where p_t is the probability given to the truth.

    Args:
        targets: 0 or 1, any shape.
        logits: Of the same shape.
        alpha: Weight of the ones; that of the zeros is `1 - alpha`.
        gamma: Exponent; 0 for plain cross entropy.

    Returns:
        The loss of each element, float32.

    Raises:
        ValueError: If `alpha` or `gamma` is out of range.
    """
    if not 0 <= alpha <= 1 or gamma < 0:
        raise ValueError(f"{alpha=} must be between 0 and 1, {gamma=} at least 0.")
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    # With s = 1 where the target is 1 and -1 elsewhere, p_t = sigmoid(s x): log(p_t) is
    # -softplus(-s x) and log(1 - p_t) is -softplus(s x). Neither overflows, and the power as an
    # exponential has a finite slope where p_t is 1.
    signed = (2.0 * targets - 1.0) * logits
    weight = alpha * targets + (1.0 - alpha) * (1.0 - targets)
    return weight * ops.exp(-gamma * ops.softplus(signed)) * ops.softplus(-signed)
