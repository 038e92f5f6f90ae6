"""Box losses and distribution focal loss against float64 NumPy, and at their corners."""

import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.losses import distribution_focal_loss, giou_loss
from vislearn.losses.boxes import BOX_LOSSES

rng = np.random.default_rng(0)


def sides(box):
    return box[..., 2] - box[..., 0], box[..., 3] - box[..., 1]


def reference(name, target, box, weight=None):
    """The loss in the type given; `weight` in place of CIoU's own, which has no slope."""
    (w, h), (wt, ht) = sides(box), sides(target)
    width = np.minimum(target[..., 2], box[..., 2]) - np.maximum(target[..., 0], box[..., 0])
    height = np.minimum(target[..., 3], box[..., 3]) - np.maximum(target[..., 1], box[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = w * h + wt * ht - shared
    iou = np.where(union > 0, shared / np.where(union > 0, union, 1), 0)
    around_w = np.maximum(target[..., 2], box[..., 2]) - np.minimum(target[..., 0], box[..., 0])
    around_h = np.maximum(target[..., 3], box[..., 3]) - np.minimum(target[..., 1], box[..., 1])
    if name == "iou":
        return 1 - iou
    if name == "giou":
        area = around_w * around_h
        return 1 - iou + np.where(area > 0, (area - union) / np.where(area > 0, area, 1), 0)
    x, y = (box + np.roll(box, 2, -1) - target - np.roll(target, 2, -1))[..., :2].T / 2
    diagonal = around_w**2 + around_h**2
    diou = 1 - iou + np.where(diagonal > 0, (x**2 + y**2) / np.where(diagonal > 0, diagonal, 1), 0)
    if name == "diou":
        return diou
    v = 4 / np.pi**2 * (np.arctan2(wt, ht) - np.arctan2(w, h)) ** 2
    below = 1 - iou + v
    own = np.where(below > 0, v / np.where(below > 0, below, 1), 0)
    return diou + (own if weight is None else weight) * v


def random_boxes(count=64):
    corner, size = rng.uniform(0, 50, (count, 2)), rng.uniform(1, 40, (count, 2))
    return np.concatenate([corner, corner + size], axis=-1).astype("float32")


TARGET = [10.0, 10, 30, 20]
CORNERS = {
    "identical": TARGET,
    "empty inside": [15, 15, 15, 15],
    "empty away": [90, 90, 90, 90],
    "a line": [15, 12, 25, 12],
    "apart": [100, 100, 120, 130],
    "touching": [30, 10, 50, 20],
    "inside": [12, 12, 20, 18],
    "around": [0, 0, 100, 100],
}


def slopes(name, targets, boxes):
    boxes = ops.convert_to_tensor(boxes)
    found = backend.input_gradient(lambda b: BOX_LOSSES[name](targets, b), boxes, [])
    return ops.convert_to_numpy(ops.cast(found, "float32"))


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_equals_numpy(name):
    targets, boxes = random_boxes(), random_boxes()
    targets = np.concatenate([targets, np.full((len(CORNERS), 4), TARGET, "float32")])
    boxes = np.concatenate([boxes, np.array([*CORNERS.values()], "float32")])
    found = ops.convert_to_numpy(BOX_LOSSES[name](targets, boxes))
    expected = reference(name, targets.astype(float), boxes.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_slopes_are_those_of_differences(name):
    targets, boxes = random_boxes(16), random_boxes(16)
    exact, step = (targets.astype(float), boxes.astype(float)), 1e-4
    whole, part = (reference("ciou", *exact, weight=w) for w in (1.0, 0.0))
    own = reference("ciou", *exact)
    weight = (own - part) / (whole - part)
    expected = np.zeros((16, 4))
    for j in range(4):
        shift = step * np.eye(4)[j]
        ahead, behind = (
            reference(name, exact[0], exact[1] + sign * shift, weight) for sign in (1.0, -1.0)
        )
        expected[:, j] = (ahead - behind) / (2 * step)
    np.testing.assert_allclose(slopes(name, targets, boxes), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", BOX_LOSSES)
def test_corners_have_finite_values_and_slopes(name, dtype):
    corners = np.array([*CORNERS.values()], "float32")
    targets, boxes = np.repeat(corners, len(corners), 0), np.tile(corners, (len(corners), 1))
    found = BOX_LOSSES[name](ops.cast(targets, dtype), ops.cast(boxes, dtype))
    assert np.all(np.isfinite(ops.convert_to_numpy(found)))
    found = slopes(name, ops.cast(targets, dtype), ops.cast(boxes, dtype))
    assert np.all(np.isfinite(found))


def test_apart_boxes_are_pulled_together_by_all_but_iou():
    """The gradient points away from the target, so a step against it comes nearer."""
    target, box = np.array([TARGET], "float32"), np.array([[100, 100, 120, 110]], "float32")
    assert not np.any(slopes("iou", target, box))
    for name in ("giou", "diou", "ciou"):
        assert np.all(slopes(name, target, box)[0, :2] > 0)


def test_giou_by_hand():
    box = [0.0, 0, 10, 10]
    boxes = np.array([box, [5, 0, 15, 10], [20, 0, 30, 10]], "float32")
    # The same; a third shared and nothing left over; apart, and a third of what is around empty.
    found = ops.convert_to_numpy(giou_loss(np.array([box] * 3, "float32"), boxes))
    np.testing.assert_allclose(found, [0, 1 - 1 / 3, 1 + 1 / 3], atol=1e-6)


def distribution_focal(y, logits):
    """Equation 6 for one distance, between the bins i and i + 1."""
    log_s = logits - np.log(np.exp(logits).sum())
    i = min(int(y), len(logits) - 2)
    return -((i + 1 - y) * log_s[i] + (y - i) * log_s[i + 1])


def test_distribution_focal_loss():
    logits = rng.normal(0, 3, (40, 8)).astype("float32")
    targets = np.concatenate([rng.uniform(0, 7, 32), np.arange(8)]).astype("float32")
    pairs = zip(targets.astype(float), logits.astype(float), strict=True)
    expected = [distribution_focal(y, row) for y, row in pairs]
    found = ops.convert_to_numpy(distribution_focal_loss(targets, logits))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    outside = ops.convert_to_numpy(distribution_focal_loss(np.array([-3.0, 99.0]), logits[:2]))
    ends = ops.convert_to_numpy(distribution_focal_loss(np.array([0.0, 7.0]), logits[:2]))
    np.testing.assert_array_equal(outside, ends)


def test_distribution_focal_loss_has_finite_slopes():
    logits = ops.convert_to_tensor(np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], "float32"))
    for dtype in ("float32", "bfloat16"):
        found = backend.input_gradient(
            lambda x: distribution_focal_loss(np.array([0.5, 2.0]), x), ops.cast(logits, dtype), []
        )
        assert np.all(np.isfinite(ops.convert_to_numpy(ops.cast(found, "float32"))))


def test_the_best_distribution_has_the_distance_as_its_mean():
    y = np.array([2.25], "float32")
    best = np.log(np.array([[1e-12, 1e-12, 0.75, 0.25, 1e-12]], "float32"))
    least = float(distribution_focal_loss(y, best)[0])
    for other in (best + np.eye(5)[j] * step for j in (2, 3) for step in (0.2, -0.2)):
        assert float(distribution_focal_loss(y, other)[0]) > least
