"""Non-maximum suppression with shapes that don't depend on the values."""

import numpy as np
from keras import ops

from vislearn.ops import boxes as box_ops
from vislearn.ops.gather import gather_rows


def non_max_suppression(
    boxes,
    scores,
    classes=None,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
    max_outputs: int = 100,
):
    """Greedy suppression: from the best box down, drops what overlaps a box kept before.

    Runs on every backend and converts to every export format: no shape depends on a value.

    Args:
        boxes: `(batch, n, 4)` in pixels.
        scores: `(batch, n)`.
        classes: `(batch, n)` integers; a box only suppresses boxes of its own class. None where
            all are of one class.
        iou_threshold: Intersection over union above which the worse of two boxes is dropped.
        score_threshold: Boxes whose score is not above it are dropped.
        max_outputs: Number of boxes kept at most.

    Returns:
        indices: `(batch, min(max_outputs, n))` int32, the boxes kept, best first (of equal scores
            the one that comes first), then others.
        kept: Of the same shape, bool: which of them are kept.
    """
    count = scores.shape[1]
    scores, order = ops.top_k(scores, k=count)  # Sorts; of equals, the first comes first.
    boxes = gather_rows(boxes, order)
    # suppresses[b, i, j]: if box i is kept, box j is dropped.
    suppresses = box_ops.iou(boxes, boxes) > iou_threshold
    if classes is not None:
        classes = gather_rows(classes, order)
        same = ops.equal(ops.expand_dims(classes, 2), ops.expand_dims(classes, 1))
        suppresses = ops.logical_and(suppresses, same)
    better = np.triu(np.ones((count, count), "float32"), 1)
    suppresses = ops.cast(suppresses, "float32") * better
    eligible = ops.cast(scores > score_threshold, "float32")
    kept = _fixed_point(suppresses, eligible)  # (batch, n)

    # The kept ones first, in their order: scores above zero, however small, would do, but the
    # scores may be of any sign; their ranks are not.
    ranks = np.arange(2 * count, count, -1).astype("float32")
    ranked = ops.where(kept > 0, ranks, ranks - count)
    ranked, best = ops.top_k(ranked, k=min(max_outputs, count))
    return ops.cast(gather_rows(order, best), "int32"), ranked > count


def _fixed_point(suppresses, eligible):
    """Solves kept[j] = eligible[j] and no kept i suppresses j, where only earlier ones do.

    Each round decides at least one box more for good, the first that was undecided: what came
    before it is right, and so it is. When a round changes nothing all are decided. A hundred
    boxes take about five rounds, each one product of matrices, where the greedy loop takes a
    hundred.
    """

    def changed(kept, before):
        return ops.any(ops.not_equal(kept, before))

    def once_more(kept, before):
        hits = ops.matmul(ops.expand_dims(kept, 1), suppresses)[:, 0]  # (batch, n)
        return eligible * ops.cast(hits < 0.5, "float32"), kept

    kept, _ = ops.while_loop(changed, once_more, (eligible, ops.zeros_like(eligible) - 1.0))
    return kept
