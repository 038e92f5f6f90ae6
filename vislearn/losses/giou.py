"""Generalised intersection over union (Rezatofighi et al. 2019, arXiv:1902.09630)."""

from keras import ops

from vislearn.ops import boxes as box_ops


def giou_loss(targets, boxes):
    """1 - GIoU of each box with its target (Algorithm 1), 0 to 2.

    GIoU is the intersection over union, less the share of the smallest box around both that
    neither covers: it also has a slope where the two don't touch.

    Args:
        targets: `(..., 4)`, x1, y1, x2, y2.
        boxes: `(..., 4)`.

    Returns:
        `(...)`.
    """
    low = ops.minimum(targets[..., :2], boxes[..., :2])
    high = ops.maximum(targets[..., 2:], boxes[..., 2:])
    inner_low = ops.maximum(targets[..., :2], boxes[..., :2])
    inner_high = ops.minimum(targets[..., 2:], boxes[..., 2:])
    inner = ops.maximum(inner_high - inner_low, 0)
    shared = inner[..., 0] * inner[..., 1]
    union = ops.maximum(box_ops.area(targets) + box_ops.area(boxes) - shared, 1e-7)
    around = ops.maximum((high - low)[..., 0] * (high - low)[..., 1], 1e-7)
    return 1.0 - shared / union + (around - union) / around
