"""Which object does each anchor have to find?"""

from keras import ops

from vislearn.ops import boxes as box_ops

BACKGROUND = -1
IGNORED = -2


def match_anchors(
    anchors,
    boxes,
    labels,
    crowd=None,
    *,
    positive: float = 0.5,
    negative: float = 0.4,
    keep_best: bool = True,
):
    """Gives each anchor the object that it overlaps most (RetinaNet, arXiv:1708.02002, section 4).

    Args:
        anchors: `(anchors, 4)`, or `(batch, anchors, 4)`, in pixels.
        boxes: `(batch, objects, 4)` in pixels.
        labels: `(batch, objects)` class numbers; -1 for rows that only fill up.
        crowd: `(batch, objects)` bool: regions that are neither object nor background. An anchor
            without an object of which half or more lies in one is ignored.
        positive: Least intersection over union of an anchor with its object.
        negative: Below it an anchor is background; in between it is ignored.
        keep_best: Also match the anchors (several where they tie) that overlap an object most of
            all, however little: no object is then without an anchor. As torchvision does; the
            paper doesn't.

    Returns:
        `(batch, anchors)` int32: the number of the object, or `BACKGROUND`, or `IGNORED`.
    """
    if len(anchors.shape) == 2:
        anchors = ops.expand_dims(anchors, 0)
    objects = labels >= 0  # (batch, objects)
    if crowd is not None:
        crowd = ops.logical_and(objects, ops.cast(crowd, "bool"))
        objects = ops.logical_and(objects, ops.logical_not(crowd))
    overlap = box_ops.iou(anchors, boxes)  # (batch, anchors, objects)
    overlap = ops.where(ops.expand_dims(objects, 1), overlap, -1.0)

    most = ops.max(overlap, axis=-1)  # (batch, anchors)
    nearest = ops.cast(ops.argmax(overlap, axis=-1), "int32")
    matched = most >= positive
    if keep_best:
        best = ops.max(overlap, axis=1, keepdims=True)  # (batch, 1, objects)
        # An object that no anchor touches has none.
        best_of_one = ops.logical_and(ops.equal(overlap, best), best > 0)
        matched = ops.logical_or(matched, ops.any(best_of_one, axis=-1))
    ignored = most >= negative
    if crowd is not None:
        shared = box_ops.intersection(anchors, boxes)  # (batch, anchors, objects)
        inside = shared >= 0.5 * ops.expand_dims(box_ops.area(anchors), -1)
        inside = ops.any(ops.logical_and(inside, ops.expand_dims(crowd, 1)), axis=-1)
        ignored = ops.logical_or(ignored, inside)
    rest = ops.where(ignored, IGNORED, BACKGROUND)
    return ops.cast(ops.where(matched, nearest, rest), "int32")
