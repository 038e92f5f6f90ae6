"""Focal loss, box losses and RetinaNet's objective against NumPy."""

import numpy as np
import pytest
from keras import ops

from vislearn.losses import RetinaNetObjective, sigmoid_focal_loss, smooth_l1
from vislearn.ops.boxes import encode

rng = np.random.default_rng(0)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def focal(target, logit, alpha, gamma):
    """Equation 5 of the paper, for one element in double precision."""
    p = 1 / (1 + np.exp(-float(logit)))
    p_t, alpha_t = (p, alpha) if target else (1 - p, 1 - alpha)
    return -alpha_t * (1 - p_t) ** gamma * np.log(p_t)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.75, 1.5)])
def test_focal_loss_is_that_of_the_paper(alpha, gamma):
    logits = rng.normal(0, 4, (20, 3)).astype("float32")
    targets = rng.integers(0, 2, (20, 3))
    expected = np.vectorize(focal)(targets, logits, alpha, gamma)
    found = numpy(sigmoid_focal_loss(targets, logits, alpha=alpha, gamma=gamma))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_focal_loss_of_extreme_logits_is_finite():
    found = numpy(sigmoid_focal_loss(np.array([1, 0, 1, 0]), np.array([-1e4, 1e4, 1e4, -1e4])))
    np.testing.assert_allclose(found, [0.25e4, 0.75e4, 0, 0], rtol=1e-5)


def test_smooth_l1():
    values = np.array([-2.0, -0.25, 0.0, 0.25, 2.0], "float32")
    zeros = np.zeros(5, "float32")
    found = numpy(smooth_l1(zeros, values, beta=0.5))
    np.testing.assert_allclose(found, [1.75, 0.0625, 0, 0.0625, 1.75])
    np.testing.assert_allclose(numpy(smooth_l1(zeros, values, beta=0)), np.abs(values))
    with pytest.raises(ValueError, match=r"beta=-1"):
        smooth_l1(zeros, values, beta=-1)


ANCHORS = np.array([[0, 0, 10, 10], [0, 0, 10, 4.5], [20, 20, 40, 40], [50, 50, 60, 60]], "float32")
BOXES = np.array([[[0, 0, 10, 8], [0, 0, 0, 0]], [[20, 20, 42, 40], [51, 50, 60, 60]]], "float32")
LABELS = np.array([[1, -1], [2, 0]], "int32")
# The second anchor overlaps the first box by 4.5 / 8, and is matched as well.
MATCH = np.array([[0, 0, -1, -1], [-1, -1, 0, 1]])


def random_outputs():
    return {
        "logits": rng.normal(size=(2, 4, 3)).astype("float32"),
        "deltas": rng.normal(0, 0.2, (2, 4, 4)).astype("float32"),
        "anchors": np.broadcast_to(ANCHORS, (2, 4, 4)),
    }


def test_objective_sums_over_anchors_and_divides_by_those_with_an_object():
    outputs = {name: ops.convert_to_tensor(value) for name, value in random_outputs().items()}
    classification = boxes = 0.0
    logits, deltas = numpy(outputs["logits"]), numpy(outputs["deltas"])
    for i in range(2):
        for j in range(4):
            row = MATCH[i, j]
            for c in range(3):
                target = row >= 0 and LABELS[i, row] == c
                classification += focal(target, logits[i, j, c], 0.25, 2.0)
            if row >= 0:
                boxes += np.abs(numpy(encode(BOXES[i, row], ANCHORS[j])) - deltas[i, j]).sum()
    found = RetinaNetObjective().loss({"boxes": BOXES, "labels": LABELS}, outputs)
    assert list(found) == list(RetinaNetObjective.parts)
    assert float(found["classification"]) == pytest.approx(classification / 4, rel=1e-4)
    assert float(found["boxes"]) == pytest.approx(boxes / 4, rel=1e-4)
    twice = RetinaNetObjective(box_weight=2.0).loss({"boxes": BOXES, "labels": LABELS}, outputs)
    assert float(twice["boxes"]) == pytest.approx(boxes / 2, rel=1e-4)


@pytest.mark.parametrize("box_loss", ["l1", "iou", "giou", "diou", "ciou"])
def test_objective_of_a_perfect_answer_is_nothing(box_loss):
    label = np.take_along_axis(LABELS, np.maximum(MATCH, 0), axis=1)
    target = (MATCH[..., None] >= 0) & (label[..., None] == np.arange(3))
    box = np.take_along_axis(BOXES, np.maximum(MATCH, 0)[..., None], axis=1)
    box = np.where(MATCH[..., None] >= 0, box, ANCHORS)
    outputs = {
        "logits": ops.convert_to_tensor(np.where(target, 20.0, -20.0).astype("float32")),
        "deltas": encode(box, ANCHORS),
        "anchors": ops.convert_to_tensor(np.broadcast_to(ANCHORS, (2, 4, 4))),
    }
    objective = RetinaNetObjective(box_loss=box_loss)
    found = objective.loss({"boxes": BOXES, "labels": LABELS}, outputs)
    assert float(found["classification"]) < 1e-6
    assert float(found["boxes"]) < 1e-5


def test_pictures_without_objects_teach_background_only():
    outputs = {name: ops.convert_to_tensor(value) for name, value in random_outputs().items()}
    y = {"boxes": np.zeros((2, 2, 4), "float32"), "labels": np.full((2, 2), -1)}
    found = RetinaNetObjective(box_loss="giou").loss(y, outputs)
    assert float(found["boxes"]) == 0
    assert np.isfinite(float(found["classification"])) and float(found["classification"]) > 0


def test_ignored_anchors_count_neither_way():
    arrays = random_outputs()
    y = {"boxes": BOXES, "labels": LABELS, "crowd": np.array([[True, False], [False, False]])}
    before = RetinaNetObjective().loss(
        y, {name: ops.convert_to_tensor(value) for name, value in arrays.items()}
    )
    arrays["logits"][0, :2] += 5.0  # Of the two anchors that lie in the crowd.
    after = RetinaNetObjective().loss(
        y, {name: ops.convert_to_tensor(value) for name, value in arrays.items()}
    )
    assert float(after["classification"]) == pytest.approx(float(before["classification"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, r"alpha=1\.5"),
        ({"box_loss": "l2"}, "box_loss='l2'"),
        ({"beta": -1}, "beta=-1"),
        ({"positive": 0.3}, r"positive=0\.3"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        RetinaNetObjective(**options)
