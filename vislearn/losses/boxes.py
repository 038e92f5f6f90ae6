"""How far a box is from its target: IoU, GIoU, DIoU and CIoU losses.

All take targets and boxes `(..., 4)`, x1, y1, x2, y2, and return `(...)`, float32. Boxes without an
area overlap with nothing; gradients are finite for them, too.
"""

import math

from keras import ops

from vislearn.ops import boxes as box_ops

_LEAST = 1e-7  # pixels, of what stands below a line


def _overlap(targets, boxes):
    """Both in float32, intersection over union and union `(...)`, and the smallest box around both.

    Returns:
        Targets, boxes, IoU, union, and the width and height of the box around `(..., 2)`.
    """
    targets, boxes = ops.cast(targets, "float32"), ops.cast(boxes, "float32")
    inner = ops.minimum(targets[..., 2:], boxes[..., 2:])
    inner = ops.maximum(inner - ops.maximum(targets[..., :2], boxes[..., :2]), 0)
    around = ops.maximum(targets[..., 2:], boxes[..., 2:])
    around = around - ops.minimum(targets[..., :2], boxes[..., :2])
    shared = inner[..., 0] * inner[..., 1]
    union = ops.maximum(box_ops.area(targets) + box_ops.area(boxes) - shared, _LEAST)
    return targets, boxes, shared / union, union, around


def iou_loss(targets, boxes):
    """1 - IoU, 0 to 1; without a slope where the two don't touch.

    Yu et al., "UnitBox", 2016, arXiv:1608.01471, take -log(IoU), which is infinite there.
    """
    _, _, iou, _, _ = _overlap(targets, boxes)
    return 1.0 - iou


def giou_loss(targets, boxes):
    """1 - GIoU, 0 to 2 (Rezatofighi et al. 2019, arXiv:1902.09630, Algorithm 1).

    GIoU is the intersection over union, less the share of the smallest box around both that
    neither covers: it also has a slope where the two don't touch.
    """
    _, _, iou, union, around = _overlap(targets, boxes)
    area = ops.maximum(around[..., 0] * around[..., 1], _LEAST)
    return 1.0 - iou + (area - union) / area


def diou_loss(targets, boxes):
    """1 - IoU + d^2 / c^2, 0 to 2 (Zheng et al. 2020, arXiv:1911.08287, equation 7).

    d is the distance between the centres, c the diagonal of the smallest box around both.
    """
    targets, boxes, iou, _, around = _overlap(targets, boxes)
    apart = 0.5 * (boxes[..., :2] + boxes[..., 2:] - targets[..., :2] - targets[..., 2:])
    diagonal = ops.sum(ops.square(around), axis=-1)
    return 1.0 - iou + ops.sum(ops.square(apart), axis=-1) / ops.maximum(diagonal, _LEAST)


def ciou_loss(targets, boxes):
    """The DIoU loss plus a v, for the ratio of the sides (arXiv:1911.08287, equations 8 to 11).

    v = (4 / pi^2) (arctan(w' / h') - arctan(w / h))^2 and a = v / (1 - IoU + v). As in the authors'
    code, a is a weight that gradients don't flow through.
    """
    targets, boxes, iou, _, _ = _overlap(targets, boxes)
    v = ops.square(_angle(targets) - _angle(boxes)) * (4.0 / math.pi**2)
    weight = ops.stop_gradient(v / ops.maximum(1.0 - iou + v, _LEAST))
    return diou_loss(targets, boxes) + weight * v


def _angle(boxes):
    """arctan(width / height)."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return ops.arctan(width / ops.maximum(height, _LEAST))


BOX_LOSSES = {"iou": iou_loss, "giou": giou_loss, "diou": diou_loss, "ciou": ciou_loss}
