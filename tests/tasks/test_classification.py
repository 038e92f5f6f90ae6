"""What the classification task answers, and how it is measured."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.losses import ClassificationLoss
from vislearn.tasks import Classification, get_task
from vislearn.training.recipes import Recipe

CLASSES = tuple("abcdefgh")


def decoded(logits, classes=CLASSES):
    answers = Classification(classes).decode(ops.convert_to_tensor(logits))
    return {name: ops.convert_to_numpy(value) for name, value in answers.items()}


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_decode_gives_probabilities_and_the_likeliest_class(scale):
    logits = (np.random.default_rng(0).normal(size=(50, 8)) * scale).astype("float32")
    answers = decoded(logits)
    assert answers.keys() == {"scores", "class_id"}
    assert answers["scores"].dtype == "float32"
    assert answers["class_id"].dtype == "int32"
    assert answers["class_id"].shape == (50,)
    np.testing.assert_allclose(answers["scores"].sum(axis=-1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(answers["class_id"], logits.argmax(axis=-1))
    exact = np.exp(logits.astype("float64") - logits.max(axis=-1, keepdims=True))
    exact /= exact.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(answers["scores"], exact, atol=1e-6)


def test_decode_takes_the_first_of_equals_and_two_classes():
    answers = decoded(np.zeros((3, 2), "float32"), ("cat", "dog"))
    np.testing.assert_array_equal(answers["class_id"], 0)
    np.testing.assert_allclose(answers["scores"], 0.5)


def test_decode_computes_in_float32():
    logits = ops.cast(np.random.default_rng(1).normal(size=(4, 8)), "bfloat16")
    scores = Classification(CLASSES).decode(logits)["scores"]
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(scores).sum(axis=-1), 1.0, atol=1e-6)


def test_measure_equals_the_metrics_of_training():
    """The NumPy figures of evaluation and the Keras figures of training are the same figures."""
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(200, 8)).astype("float32"), rng.integers(0, 8, 200)
    task = Classification(CLASSES)
    found = task.measure(decoded(logits), {"labels": labels})
    macro = ["macro_precision", "macro_recall", "macro_f1"]
    assert list(found) == ["accuracy", "top5_accuracy", *macro]
    assert 0 < found["accuracy"] < found["top5_accuracy"] < 1
    for metric in task.metrics():
        metric.update_state(labels, logits)
        assert float(metric.result()) == pytest.approx(found[metric.name], abs=1e-6)


def test_top5_needs_more_than_five_classes():
    five = Classification(CLASSES[:5])
    assert [metric.name for metric in five.metrics()] == ["accuracy"]
    answers = decoded(np.eye(5, dtype="float32"), CLASSES[:5])
    found = five.measure(answers, {"labels": np.array([0, 1, 2, 0, 0])})
    assert found["accuracy"] == pytest.approx(0.6) and "top5_accuracy" not in found


def test_losses_of_one_class_refuse_mixed_images():
    task, mixed = Classification(CLASSES), {"operations": [{"mixup": {}}]}
    assert task.loss(Recipe(augment=mixed)).formula == "log"
    with pytest.raises(ValueError, match=r"loss='focal' takes a single class.*mixup.*one of"):
        task.loss(Recipe(loss="focal", augment=mixed))


def test_target_and_loss():
    task = Classification(CLASSES)
    assert task.target({"images": "x", "labels": "y", "name": "z"}) == ("x", "y")
    loss = task.loss(Recipe(label_smoothing=0.1))
    assert isinstance(loss, ClassificationLoss)
    assert loss.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("classes", "message"),
    [((), "needs at least two"), (("cat",), "needs at least two"), (("a", "b", "a"), "name twice")],
)
def test_unfit_classes_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        Classification(classes)


def test_get_task():
    assert get_task("classification", ["a", "b"]) == Classification(("a", "b"))
    with pytest.raises(ValueError, match=r"task='sorting' must be one of .*'classification'"):
        get_task("sorting", ["a", "b"])
