"""Overlap and encoding of boxes against NumPy, box by box."""

import math

import numpy as np
import pytest
from keras import ops

from vislearn.metrics import boxes as numpy_boxes
from vislearn.ops import boxes as box_ops

rng = np.random.default_rng(0)


def random_boxes(*shape, side=100.0):
    low = rng.uniform(0, side, (*shape, 2))
    return np.concatenate([low, low + rng.uniform(1, side / 2, (*shape, 2))], -1).astype("float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def iou_of_two(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


@pytest.mark.parametrize("function", [lambda a, b: numpy(box_ops.iou(a, b)), numpy_boxes.iou])
def test_iou_of_every_pair(function):
    boxes, others = random_boxes(12), random_boxes(7)
    expected = [[iou_of_two(a, b) for b in others.tolist()] for a in boxes.tolist()]
    assert np.count_nonzero(expected) > 10
    np.testing.assert_allclose(function(boxes, others), expected, atol=1e-5)


@pytest.mark.parametrize("function", [lambda a, b: numpy(box_ops.iou(a, b)), numpy_boxes.iou])
def test_iou_of_equal_apart_touching_and_empty_boxes(function):
    box = np.array([[10.0, 10, 20, 20]], "float32")
    others = np.array([[10, 10, 20, 20], [30, 30, 40, 40], [20, 10, 30, 20], [12, 12, 12, 15]])
    np.testing.assert_allclose(function(box, others.astype("float32")), [[1, 0, 0, 0]], atol=1e-6)
    nothing = np.zeros((1, 4), "float32")
    assert function(nothing, nothing) == 0


def test_iou_of_batches_is_that_of_each_example():
    boxes, others = random_boxes(3, 5), random_boxes(3, 4)
    found = numpy(box_ops.iou(boxes, others))
    assert found.shape == (3, 5, 4)
    for one, box, other in zip(found, boxes, others, strict=True):
        np.testing.assert_allclose(one, numpy(box_ops.iou(box, other)), atol=1e-6)


def test_encode_by_hand():
    """Twice as wide, half as high, moved by a quarter of the width and up by half the height."""
    anchor = np.array([10.0, 20, 50, 40], "float32")  # 40 x 20 around (30, 30)
    box = np.array([0.0, 15, 80, 25], "float32")  # 80 x 10 around (40, 20)
    expected = [10 / 40, -10 / 20, math.log(2), math.log(0.5)]
    np.testing.assert_allclose(numpy(box_ops.encode(box, anchor)), expected, atol=1e-6)


def test_decode_undoes_encode():
    boxes, anchors = random_boxes(2, 50), random_boxes(2, 50)
    found = numpy(box_ops.decode(box_ops.encode(boxes, anchors), anchors))
    np.testing.assert_allclose(found, boxes, atol=1e-3)


def test_decode_limits_the_growth():
    anchor = np.array([-8.0, -8, 8, 8], "float32")
    found = numpy(box_ops.decode(np.array([0.0, 0, 1000, 1000], "float32"), anchor))
    np.testing.assert_allclose(found, [-500, -500, 500, 500], rtol=1e-5)


def test_clip_takes_height_for_y():
    boxes = np.array([[-5.0, -5, 300, 300], [10, 20, 30, 40]], "float32")
    expected = [[0, 0, 200, 100], [10, 20, 30, 40]]
    np.testing.assert_array_equal(numpy(box_ops.clip(boxes, 100, 200)), expected)


def test_match_takes_each_object_once_and_of_its_class():
    truth = np.array([[0, 0, 10, 10], [100, 100, 110, 110]])
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [100, 100, 110, 110], [50, 50, 60, 60]])
    found = numpy_boxes.match(boxes, np.array([0, 0, 0, 0]), truth, np.array([0, 1]))
    np.testing.assert_array_equal(found, [0, -1, -1, -1])
    found = numpy_boxes.match(boxes, np.array([0, 0, 1, 0]), truth, np.array([0, 1]))
    np.testing.assert_array_equal(found, [0, -1, 1, -1])
    nothing = numpy_boxes.match(boxes, np.zeros(4), np.zeros((0, 4)), np.zeros(0))
    np.testing.assert_array_equal(nothing, -1)
