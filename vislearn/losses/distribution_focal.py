"""Distribution focal loss (Li et al., "Generalized Focal Loss", 2020, arXiv:2006.04388)."""

from keras import ops


def distribution_focal_loss(targets, logits):
    """Cross entropy with the two bins on both sides of a distance (equation 6).

    `-((i + 1 - y) log S_i + (y - i) log S_(i+1))` for a target y between i and i + 1, where S is
    the softmax of the logits: a detector answers with a distribution over distances, whose mean is
    the distance.

    Args:
        targets: `(...)`, in bins, from 0 to the last; what lies outside counts as the nearest end.
        logits: `(..., bins)`.

    Returns:
        `(...)`, float32.
    """
    targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
    bins = logits.shape[-1]
    targets = ops.clip(targets, 0.0, bins - 1.0)[..., None]
    weights = ops.relu(1.0 - ops.abs(targets - ops.arange(bins, dtype="float32")))  # (..., bins)
    return -ops.sum(weights * ops.log_softmax(logits, axis=-1), axis=-1)
