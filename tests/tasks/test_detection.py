"""What the detection task answers, how it is measured, compared and drawn."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import vislearn
from vislearn.ops.boxes import encode
from vislearn.tasks import Detection, get_task
from vislearn.training.recipes import Recipe
from vislearn.training.trainers import ObjectiveTrainer

CLASSES = ("cat", "dog")
TASK = Detection(CLASSES)
ANCHORS = np.array(
    [[0, 0, 20, 20], [2, 0, 22, 20], [40, 40, 60, 60], [90, 90, 110, 110]], "float32"
)


def logit(p):
    return math.log(p / (1 - p))


def outputs(scores, boxes=ANCHORS, anchors=ANCHORS, image_size=(100, 100)):
    """What a network gives that finds these boxes with these scores, for one picture."""
    raw = {
        "logits": np.vectorize(logit)(np.asarray(scores))[None].astype("float32"),
        "deltas": ops.convert_to_numpy(encode(np.float32(boxes), anchors))[None],
        "anchors": anchors[None],
    }
    if image_size:
        raw["image_size"] = np.array([image_size], "float32")
    return {name: ops.convert_to_tensor(value) for name, value in raw.items()}


def decoded(raw, task=TASK):
    return {name: ops.convert_to_numpy(value) for name, value in task.decode(raw).items()}


SCORES = [[0.9, 0.01], [0.8, 0.3], [0.02, 0.7], [0.04, 0.04]]


def test_decode():
    """The second anchor is a worse cat where the first is, but also a dog of its own."""
    found = decoded(outputs(SCORES))
    assert {name: (value.shape, value.dtype.name) for name, value in found.items()} == {
        "boxes": ((1, 8, 4), "float32"),
        "scores": ((1, 8), "float32"),
        "classes": ((1, 8), "int32"),
        "count": ((1,), "int32"),
    }
    assert found["count"] == [3]
    np.testing.assert_allclose(found["scores"][0, :3], [0.9, 0.7, 0.3], atol=1e-6)
    np.testing.assert_array_equal(found["classes"][0], [0, 1, 1, -1, -1, -1, -1, -1])
    np.testing.assert_allclose(found["boxes"][0, :3], ANCHORS[[0, 2, 1]], atol=1e-4)
    assert np.all(found["boxes"][0, 3:] == 0) and np.all(found["scores"][0, 3:] == 0)


def test_decode_moves_the_anchors_and_cuts_boxes_off_at_the_edges():
    boxes = np.array([[-10, 5, 12, 30], [2, 0, 22, 20], [120, 40, 150, 60], [80, 80, 120, 95]])
    scores = [[0.9, 0.01], [0.01, 0.01], [0.01, 0.8], [0.7, 0.01]]
    found = decoded(outputs(scores, boxes))
    # The second box lies beside the picture and is gone.
    assert found["count"] == [2]
    np.testing.assert_allclose(
        found["boxes"][0, :2], [[0, 5, 12, 30], [80, 80, 100, 95]], atol=1e-4
    )
    found = decoded(outputs(scores, boxes, image_size=None))
    assert found["count"] == [3]
    np.testing.assert_allclose(found["boxes"][0, 1], boxes[2], atol=1e-4)


def test_options():
    assert decoded(outputs(SCORES), Detection(CLASSES, score_threshold=0.5))["count"] == [2]
    assert decoded(outputs(SCORES), Detection(CLASSES, iou_threshold=0.95))["count"] == [4]
    few = Detection(CLASSES, max_detections=2, candidates=8)
    assert decoded(outputs(SCORES), few)["scores"].shape == (1, 2)
    # Of the two best candidates the second is suppressed.
    two = Detection(CLASSES, max_detections=2, candidates=2)
    assert decoded(outputs(SCORES), two)["count"] == [1]


def test_decode_looks_at_the_best_pairs_of_all():
    """The best `candidates` of (anchor, class), as sorting all of them finds."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.1, 0.9, (300, 2))
    anchors = np.arange(300, dtype="float32")[:, None] * 30 + np.array([0, 0, 20, 20])
    anchors = anchors.astype("float32")
    task = Detection(CLASSES, candidates=50, max_detections=50)
    found = decoded(outputs(scores, anchors, anchors, image_size=None), task)
    order = np.argsort(-scores.ravel())[:50]
    np.testing.assert_array_equal(found["classes"][0], order % 2)
    np.testing.assert_allclose(found["boxes"][0], anchors[order // 2], atol=1e-2)


def test_target_and_objective():
    example = {"images": 0, "boxes": 1, "labels": 2, "masks": 3, "seed": 4}
    assert TASK.target(example) == (0, {"boxes": 1, "labels": 2})
    assert TASK.target({**example, "crowd": 5})[1]["crowd"] == 5
    objective = TASK.objective(None, Recipe(objective={"box_loss": "giou"}))
    assert objective.box_loss == "giou"
    assert get_task("detection", CLASSES) == TASK


TRUTH = {
    "images": np.zeros((1, 100, 100, 3), "uint8"),
    "boxes": np.array([[[0, 0, 20, 20], [40, 40, 60, 66], [0, 0, 0, 0]]], "float32"),
    "labels": np.array([[0, 1, -1]], "int32"),
}


def test_measure():
    """The dog overlaps by 20 / 26 = 0.77: right up to 0.75."""
    found = TASK.measure(decoded(outputs(SCORES)), TRUTH)
    assert list(found) == ["map50", "map", "map75"]
    assert found["map50"] == pytest.approx(1)
    assert found["map75"] == pytest.approx(1)
    assert found["map"] == pytest.approx((1 + 0.6) / 2)
    by_class = TASK.class_precision(decoded(outputs(SCORES)), TRUTH)
    np.testing.assert_allclose(by_class.mean(axis=0), [1, 0.6])
    with pytest.raises(ValueError, match="truth holds no object"):
        TASK.measure(decoded(outputs(SCORES)), {**TRUTH, "labels": np.full((1, 3), -1)})


def changed(answers, **values):
    """A copy in which entries `name=(index, value)` differ."""
    copy = {name: value.copy() for name, value in answers.items()}
    for name, (index, value) in values.items():
        copy[name][index] = value
    return copy


def test_compare_equal_answers_in_another_order():
    found = decoded(outputs([[0.9, 0.01], [0.01, 0.01], [0.02, 0.9], [0.04, 0.04]]))
    swapped = {name: value.copy() for name, value in found.items()}
    for name in ("boxes", "scores", "classes"):
        swapped[name][0, :2] = swapped[name][0, 1::-1]
    report = TASK.compare(found, swapped)
    assert report.agreement == 1 and report.unexplained == 0
    assert max(report.max_difference.values()) == 0


def test_compare_finds_differences():
    found = decoded(outputs(SCORES))
    report = TASK.compare(found, changed(found, scores=((0, 1), 0.702)))
    assert report.max_difference["scores"] == pytest.approx(0.002, rel=1e-3)
    report = TASK.compare(found, changed(found, boxes=((0, 1, 0), 40.06)))
    assert report.max_difference["boxes"] == pytest.approx(0.001, rel=1e-2)
    report = TASK.compare(found, changed(found, classes=((0, 0), 1)))
    assert report.unexplained == 2 and report.agreement == pytest.approx(4 / 6)
    report = TASK.compare(found, changed(found, count=(0, 2)))
    assert report.unexplained == 1 and report.agreement == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("scores", "boxes"),
    [
        # At the score threshold.
        ([[0.9, 0.01], [0.01, 0.01], [0.02, 0.05004], [0.04, 0.04]], ANCHORS),
        # Half of the one overlaps the other.
        (
            [[0.9, 0.01], [0.8, 0.01], [0.02, 0.04], [0.04, 0.04]],
            [[0, 0, 20, 20], [0, 0, 20, 10.0001], *ANCHORS[2:]],
        ),
    ],
)
def test_compare_explains_what_rounding_decides(scores, boxes):
    """Both with and without the second detection is right to within the tolerance."""
    raw = outputs(scores, boxes)
    most = decoded(raw, Detection(CLASSES, iou_threshold=0.6))
    assert most["count"] == [2]
    report = TASK.compare(most, changed(most, count=(0, 1)))
    assert report.unexplained == 0
    assert report.agreement < 1


def test_compare_without_detections():
    nothing = decoded(outputs(np.full((4, 2), 0.01)))
    assert TASK.compare(nothing, nothing).agreement == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0])}, r"shape \(1, objects\)"),
        ({"labels": np.array([[0, 2, -1]])}, r"0\.\.1"),
        ({"boxes": np.zeros((1, 2, 4))}, r"\(1, 3, 4\)"),
        ({"boxes": np.ones((1, 3, 4))}, r"boxes\[0, 0\].*no area"),
    ],
)
def test_unfit_truth_is_refused(change, message):
    TASK.check_truth(TRUTH)
    with pytest.raises(ValueError, match=message):
        TASK.check_truth({**TRUTH, **change})


def tiny(**options):
    return vislearn.create_model(
        "retinanet", **{**vislearn.model_info("retinanet").tiny, "num_classes": 2, **options}
    )


def test_unfit_models_are_refused():
    TASK.check_model(tiny())
    with pytest.raises(ValueError, match="2 classes"):
        TASK.check_model(tiny(num_classes=3))
    with pytest.raises(ValueError, match="ends in sigmoid"):
        TASK.check_model(tiny(classifier_activation="sigmoid"))
    with pytest.raises(ValueError, match="takes a dictionary"):
        TASK.check_model(tiny(num_classes=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ()}, "classes is empty"),
        ({"classes": ("a", "a")}, "a name twice"),
        ({"score_threshold": 2}, "score_threshold=2"),
        ({"iou_threshold": -1}, "iou_threshold=-1"),
        ({"max_detections": 500}, "max_detections=500"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Detection(**{"classes": CLASSES, **options})


def test_describe_draw_and_sections():
    answers = decoded(outputs(SCORES))
    assert [name for name, _ in TASK.describe(answers, 0)] == ["cat", "dog", "dog"]
    figure = TASK.draw(TRUTH["images"], answers, TRUTH, titles=["picture"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(texts) == ["cat 90%", "dog 30%", "dog 70%"]
    figure = TASK.draw(TRUTH["images"], changed(answers, count=(0, 1)), TRUTH)
    dashed = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(dashed) == ["cat 90%", "dog"]
    bars, mistakes = TASK.sections(TRUTH["images"], answers, TRUTH)
    assert "1 in 1 pictures" in mistakes.text
    assert len(bars.figure.axes) == 1


@pytest.mark.tensorflow
def test_exports_answer_as_keras(tmp_path):
    """Suppression and all in built-in operations, with detections to suppress."""
    model = tiny(norm="batch")
    rng = np.random.default_rng(0)
    for layer in ("class_out", "box_out"):
        kernel, bias = model.get_layer(layer).get_weights()
        model.get_layer(layer).set_weights([rng.normal(0, 0.3, kernel.shape), 0 * bias - 1.0])
    report = vislearn.export_model(
        model,
        tmp_path / "detector",
        task=TASK,
        formats=("savedmodel", "litert", "onnx"),
        calibration=rng.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8),
    )
    assert len(report.rows) == 3
    for row in report.rows:
        assert max(row.max_difference.values()) <= 1e-4


def test_learns_to_find_squares():
    """A small network finds every square of eight pictures that it has seen often enough."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (8, 64, 64, 3)).astype("float32")
    boxes, labels = np.zeros((8, 2, 4), "float32"), np.full((8, 2), -1, "int32")
    for index in range(8):
        for row in range(1 + index % 2):  # One on the left, and perhaps one on the right.
            side, label = rng.integers(14, 24), rng.integers(0, 2)
            x, y = 32 * row + rng.integers(0, 32 - side), rng.integers(0, 64 - side)
            images[index, y : y + side, x : x + side] = (220, 40, 40) if label else (40, 40, 220)
            boxes[index, row], labels[index, row] = (x, y, x + side, y + side), label

    network = tiny(norm="group", levels=("C3",), extra_levels=0, anchor_sizes=(14,))
    trainer = ObjectiveTrainer(network, TASK.objective(network, Recipe()))
    trainer.compile(keras.optimizers.Adam(1e-2))
    trainer.fit(images, {"boxes": boxes, "labels": labels}, batch_size=8, epochs=60, verbose=0)
    # The backbone's moving averages lag behind after so few steps: statistics of these pictures.
    answers = decoded(network(images, training=True))
    assert TASK.measure(answers, {"boxes": boxes, "labels": labels})["map50"] > 0.95
