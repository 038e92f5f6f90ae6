"""Non-maximum suppression against the greedy loop, and against TensorFlow's kernel."""

import numpy as np
import pytest
from keras import ops

from vislearn.metrics.boxes import iou
from vislearn.ops.gather import gather_rows
from vislearn.ops.nms import non_max_suppression

rng = np.random.default_rng(0)


def cases(count, boxes, side=64.0):
    low = rng.uniform(0, side, (count, boxes, 2))
    high = low + rng.uniform(8, side / 2, (count, boxes, 2))
    scores = rng.uniform(0, 1, (count, boxes))
    return np.concatenate([low, high], -1).astype("float32"), scores.astype("float32")


def suppressed(*arrays, **options):
    """For each example the indices kept, best first."""
    indices, kept = non_max_suppression(*arrays, **options)
    indices, kept = ops.convert_to_numpy(indices), ops.convert_to_numpy(kept)
    assert not np.any(~kept[:, :-1] & kept[:, 1:]), "what is kept must stand first"
    return [list(index[keep]) for index, keep in zip(indices, kept, strict=True)]


def greedy(boxes, scores, classes, iou_threshold, score_threshold, max_outputs):
    overlap = iou(boxes, boxes)
    found = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] > score_threshold and not any(
            overlap[index, other] > iou_threshold and classes[index] == classes[other]
            for other in found
        ):
            found.append(index)
    return found[:max_outputs]


@pytest.mark.parametrize(
    ("iou_threshold", "score_threshold", "max_outputs"), [(0.3, 0.0, 25), (0.5, 0.4, 60)]
)
def test_against_the_greedy_loop(iou_threshold, score_threshold, max_outputs):
    boxes, scores = cases(20, 60)
    classes = rng.integers(0, 3, (20, 60)).astype("int32")
    options = {"iou_threshold": iou_threshold, "score_threshold": score_threshold}
    found = suppressed(boxes, scores, classes, max_outputs=max_outputs, **options)
    expected = [
        greedy(*one, max_outputs=max_outputs, **options)
        for one in zip(boxes, scores, classes, strict=True)
    ]
    assert found == expected
    assert 10 < max(map(len, found)) <= max_outputs


@pytest.mark.tensorflow
def test_against_tensorflow_in_a_thousand_cases():
    import tensorflow as tf

    boxes, scores = cases(1000, 40)
    found = suppressed(boxes, scores, iou_threshold=0.4, score_threshold=0.1, max_outputs=40)

    @tf.function
    def kernel(one):
        boxes, scores = one
        index = tf.image.non_max_suppression(boxes, scores, 40, 0.4, 0.1)
        return tf.pad(index, [[0, 40 - tf.size(index)]], constant_values=-1)

    expected = tf.map_fn(kernel, (boxes, scores), fn_output_signature=tf.int32).numpy()
    assert found == [list(row[row >= 0]) for row in expected]
    assert len({len(row) for row in found}) > 5


def test_a_chain_of_overlaps():
    """Each box overlaps the next: every second one stays, which one round does not find out."""
    count = 41
    x = np.arange(count) * 4.0
    boxes = np.stack([x, 0 * x, x + 10, 0 * x + 10], -1)[None].astype("float32")
    scores = np.linspace(0.9, 0.1, count)[None].astype("float32")
    assert suppressed(boxes, scores, iou_threshold=0.4) == [list(range(0, count, 2))]


def test_equal_scores_go_to_the_first():
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]]], "float32")
    scores = np.full((1, 3), 0.5, "float32")
    assert suppressed(boxes, scores) == [[0, 2]]
    # The threshold itself is not above the threshold.
    assert suppressed(boxes, scores, score_threshold=0.5) == [[]]


def test_classes_don_t_suppress_each_other():
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 10]]], "float32")
    scores = np.array([[0.4, 0.6]], "float32")
    assert suppressed(boxes, scores, np.array([[0, 1]])) == [[1, 0]]
    assert suppressed(boxes, scores, np.array([[1, 1]])) == [[1]]
    assert suppressed(boxes, scores) == [[1]]


def test_more_outputs_than_boxes():
    indices, kept = non_max_suppression(*cases(2, 5), max_outputs=100)
    assert indices.shape == kept.shape == (2, 5)


def test_gather_rows():
    values, indices = rng.normal(size=(3, 7, 2)), rng.integers(0, 7, (3, 5))
    found = ops.convert_to_numpy(gather_rows(ops.convert_to_tensor(values), indices))
    np.testing.assert_allclose(found, np.take_along_axis(values, indices[..., None], axis=1))
