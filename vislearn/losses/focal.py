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
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    # With s = 1 where the target is 1 and -1 elsewhere, p_t = sigmoid(s x): one sigmoid and one
    # softplus serve both cases, and neither overflows.
    signed = (2.0 * targets - 1.0) * logits
    weight = alpha * targets + (1.0 - alpha) * (1.0 - targets)
    miss = ops.sigmoid(-signed)  # 1 - p_t
    miss = ops.square(miss) if gamma == 2 else ops.power(miss, gamma)
    return weight * miss * ops.softplus(-signed)
