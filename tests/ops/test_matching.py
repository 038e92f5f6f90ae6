"""Which anchor gets which object: by hand, and against loops in NumPy."""

import numpy as np
import pytest
from keras import ops

from vislearn.metrics.boxes import iou
from vislearn.ops.matching import BACKGROUND, IGNORED, match_anchors

rng = np.random.default_rng(0)


def matched(anchors, boxes, labels, crowd=None, **options):
    arrays = [np.asarray(a, "float32") for a in (anchors, boxes)]
    crowd = None if crowd is None else np.asarray(crowd)
    found = match_anchors(*arrays, np.asarray(labels, "int32"), crowd, **options)
    return ops.convert_to_numpy(found)


def expected(anchors, boxes, labels, keep_best):
    """Anchor by anchor, object by object, for one example."""
    found = np.full(len(anchors), BACKGROUND)
    overlap = iou(anchors, boxes)
    real = [j for j in range(len(boxes)) if labels[j] >= 0]
    for i in range(len(anchors)):
        if not real:
            continue
        j = max(real, key=lambda j: overlap[i, j])
        best = any(0 < overlap[i, k] == overlap[:, k].max() for k in real)
        if overlap[i, j] >= 0.5 or (keep_best and best):
            found[i] = j
        elif overlap[i, j] >= 0.4:
            found[i] = IGNORED
    return found


@pytest.mark.parametrize("keep_best", [True, False])
def test_against_loops(keep_best):
    # Whole pixels, so that NumPy's double and the backend's single precision agree on ties.
    low = rng.integers(0, 60, (300, 2))
    anchors = np.concatenate([low, low + rng.integers(8, 30, (300, 2))], axis=1)
    low = rng.integers(0, 60, (6, 5, 2))
    boxes = np.concatenate([low, low + rng.integers(8, 30, (6, 5, 2))], axis=2)
    labels = rng.integers(-1, 3, (6, 5))
    labels[5] = -1
    found = matched(anchors, boxes, labels, keep_best=keep_best)
    for one, box, label in zip(found, boxes, labels, strict=True):
        np.testing.assert_array_equal(one, expected(anchors, box, label, keep_best))
    assert {BACKGROUND, IGNORED, 0, 1, 2, 3, 4} == set(np.unique(found))
    assert np.all(found[5] == BACKGROUND)


def test_thresholds_and_the_best_anchor_of_an_object():
    box = [[[0, 0, 10, 10]]]
    anchors = [[0, 0, 10, 6], [0, 0, 10, 4.5], [0, 0, 10, 3]]  # 0.6, 0.45 and 0.3
    np.testing.assert_array_equal(matched(anchors, box, [[0]]), [[0, IGNORED, BACKGROUND]])
    np.testing.assert_array_equal(matched(anchors[1:], box, [[0]]), [[0, BACKGROUND]])
    none = matched(anchors[1:], box, [[0]], keep_best=False)
    np.testing.assert_array_equal(none, [[IGNORED, BACKGROUND]])


def test_rows_that_fill_up_never_match():
    anchors = [[0, 0, 1, 1], [0, 0, 10, 10]]
    found = matched(anchors, [[[0, 0, 0, 0], [0, 0, 10, 10]]], [[-1, -1]])
    np.testing.assert_array_equal(found, BACKGROUND)


def test_an_object_beside_the_image_takes_no_anchor():
    found = matched([[0, 0, 10, 10], [20, 20, 30, 30]], [[[50, 50, 60, 60]]], [[0]])
    np.testing.assert_array_equal(found, BACKGROUND)


def test_crowds_are_neither_learned_nor_background():
    anchors = [[0, 0, 10, 10], [40, 0, 50, 10], [47, 0, 57, 10], [80, 0, 90, 10]]
    boxes, labels = [[[0, 0, 10, 10], [30, 0, 50, 40]]], [[1, 1]]
    found = matched(anchors, boxes, labels, [[False, True]])
    # The third lies in the crowd by less than half.
    np.testing.assert_array_equal(found, [[0, IGNORED, BACKGROUND, BACKGROUND]])
    # An object in the crowd is an object.
    found = matched(anchors, [[[40, 0, 50, 10], [30, 0, 50, 40]]], labels, [[False, True]])
    np.testing.assert_array_equal(found, [[BACKGROUND, 0, BACKGROUND, BACKGROUND]])
