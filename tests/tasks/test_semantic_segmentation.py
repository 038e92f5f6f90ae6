"""What the segmentation task answers, and how it is measured."""

import keras
import numpy as np
import pytest
from keras import ops

import vislearn
from vislearn.tasks import SemanticSegmentation, get_task
from vislearn.training.recipes import Recipe

CLASSES = ("background", "cat", "dog", "frog")
TASK = SemanticSegmentation(CLASSES)


def logits(count=3, height=8, width=10, seed=0):
    shape = (count, height, width, len(CLASSES))
    return (3 * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def decoded(values):
    answers = TASK.decode(ops.convert_to_tensor(values))
    return {name: ops.convert_to_numpy(value) for name, value in answers.items()}


def truth(answers, wrong=0.3, seed=1):
    """Annotations that the answers are mostly right about, some pixels of which don't count."""
    rng = np.random.default_rng(seed)
    masks = answers["mask"].astype("uint8")
    masks[rng.uniform(size=masks.shape) < wrong] = 2
    masks[rng.uniform(size=masks.shape) < 0.1] = 255
    return {"images": rng.integers(0, 256, (*masks.shape, 3), np.uint8), "masks": masks}


def test_decode():
    values = logits()
    answers = decoded(values)
    assert answers.keys() == TASK.meanings(None).keys()
    assert answers["mask"].dtype == "int32"
    assert answers["confidence"].dtype == "float32"
    np.testing.assert_array_equal(answers["mask"], values.argmax(axis=-1))
    exact = np.exp(values.astype("float64"))
    exact /= exact.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(answers["confidence"], exact.max(axis=-1), atol=1e-6)
    np.testing.assert_array_equal(decoded(np.zeros((1, 2, 2, 4), "float32"))["mask"], 0)


def test_decode_computes_in_float32():
    answers = TASK.decode(ops.cast(logits(), "bfloat16"))
    assert keras.backend.standardize_dtype(answers["confidence"].dtype) == "float32"


def test_measure_equals_the_metrics_of_training():
    values = logits()
    answers = decoded(values)
    known = truth(answers)
    found = TASK.measure(answers, known)
    assert list(found) == ["mean_iou", "pixel_accuracy"]
    assert 0 < found["mean_iou"] < found["pixel_accuracy"] < 1
    for metric in TASK.metrics():
        metric.update_state(known["masks"], values)
        assert float(metric.result()) == pytest.approx(found[metric.name], abs=1e-6)
    by_class = TASK.iou_by_class(answers, known)
    assert list(by_class) == list(CLASSES)
    assert np.mean([*by_class.values()]) == pytest.approx(found["mean_iou"])


def test_fit_with_a_smaller_answer_than_image():
    """Valid convolutions: the loss and the metrics of `fit` take the centre of the mask."""
    network = vislearn.create_model(
        "unet", input_shape=(24, 24, 1), num_classes=4, filters=2, depth=1
    )
    assert network.output_shape == (None, 8, 8, 4)
    recipe = Recipe(label_smoothing=0.0, objective={"dice": 1.0})
    network.compile("sgd", TASK.loss(recipe), metrics=TASK.metrics())
    rng = np.random.default_rng(0)
    example = {
        "images": rng.uniform(0, 255, (4, 24, 24, 1)).astype("float32"),
        "masks": rng.integers(0, 4, (4, 24, 24)).astype("uint8"),
    }
    found = network.evaluate(*TASK.target(example), verbose=0, return_dict=True)
    values = network.predict(example["images"], verbose=0)
    measured = TASK.measure(decoded(values), example)
    centre = {"masks": example["masks"][:, 8:16, 8:16]}
    assert measured == TASK.measure(decoded(values), centre)
    assert found["mean_iou"] == pytest.approx(measured["mean_iou"], abs=1e-6)
    assert found["pixel_accuracy"] == pytest.approx(measured["pixel_accuracy"], abs=1e-6)
    expected = TASK.loss(recipe)(centre["masks"], values)
    assert found["loss"] == pytest.approx(float(ops.convert_to_numpy(expected)), rel=1e-5)


def test_loss_options_come_from_the_recipe():
    loss = TASK.loss(Recipe(label_smoothing=0.2, objective={"dice": 0.5}))
    assert (loss.label_smoothing, loss.dice) == (0.2, 0.5)


def test_compare_excuses_ties_only():
    confidence = np.array([[[0.5, 0.5, 0.9, 0.4]]], "float32")
    expected = {"mask": np.array([[[0, 1, 2, 3]]], "int32"), "confidence": confidence}
    same = TASK.compare(expected, expected)
    assert (same.agreement, same.unexplained, same.max_difference) == (1.0, 0, {"confidence": 0.0})

    def differing(column, number, shift=0.0):
        actual = {name: value.copy() for name, value in expected.items()}
        actual["mask"][0, 0, column] = number
        actual["confidence"][0, 0, column] += shift
        return TASK.compare(expected, actual)

    tie = differing(0, 3)
    assert (tie.agreement, tie.unexplained) == (0.75, 0)
    assert differing(3, 1, 5e-5).unexplained == 0
    assert differing(3, 1, 5e-4).unexplained == 1  # then the other class is the likelier one
    assert differing(2, 1).unexplained == 1  # no other class can be as likely as 0.9
    assert differing(0, 7).unexplained == 1  # no class at all
    undefined = differing(2, 2, np.nan)
    assert undefined.max_difference["confidence"] == np.inf


def test_truth_is_checked():
    known = truth(decoded(logits()))
    TASK.check_truth(known)
    for masks, message in (
        (known["masks"][:, :4], r"shape \(3, 8, 10\)"),
        (known["masks"].astype("float32"), "float32"),
        (np.full((3, 8, 10), 4, "uint8"), r"hold 4\.\.4"),
        (None, "masks must be integers"),
    ):
        with pytest.raises(ValueError, match=message):
            TASK.check_truth({**known, "masks": masks})


def test_models_are_checked():
    options = {"input_shape": (16, 16, 3), "filters": 2, "depth": 1, "padding": "same"}
    TASK.check_model(vislearn.create_model("unet", num_classes=4, **options))
    with pytest.raises(ValueError, match=r"must be \(None, height, width, 4\)"):
        TASK.check_model(vislearn.create_model("unet", num_classes=3, **options))
    softmax = {"num_classes": 4, "classifier_activation": "softmax", **options}
    with pytest.raises(ValueError, match="ends in softmax"):
        TASK.check_model(vislearn.create_model("unet", **softmax))


def test_words():
    mask = np.array([[[0, 0, 0, 2], [0, 0, 2, 1]]], "int32")
    answers = {"mask": mask, "confidence": np.full((1, 2, 4), 0.5, "float32")}
    known = {"masks": np.where(mask == 2, 255, 0).astype("uint8")}
    found = TASK.describe(answers, 0)
    assert found == [("background", 0.625), ("dog", 0.25), ("cat", 0.125)]
    assert TASK.describe(answers, 0, top=1) == found[:1]
    assert TASK.record(answers, None, 0, found) == {"shares": dict(found), "mean_confidence": 0.5}
    assert TASK.record(answers, known, 0, found)["pixel_accuracy"] == pytest.approx(5 / 6)
    nothing = {"masks": np.full((1, 2, 4), 255, "uint8")}
    assert TASK.record(answers, nothing, 0, found)["pixel_accuracy"] is None


def test_draws_the_centre_of_larger_images():
    answers = decoded(logits(2))
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 14, 3), np.uint8)
    masks = np.zeros((2, 12, 14), "uint8")
    figure = TASK.draw(images, answers, {"masks": masks}, titles=["a.jpg", "b.jpg"])
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 6  # image, truth and answer of each
    np.testing.assert_array_equal(shown[0], images[0, 2:-2, 2:-2])


def test_names():
    assert get_task("semantic_segmentation", CLASSES, "unet") == SemanticSegmentation(
        CLASSES, "unet"
    )
    with pytest.raises(ValueError, match="1 names: segmentation takes 2 to 255"):
        SemanticSegmentation(("background",))


@pytest.mark.tensorflow
def test_exports_answer_as_keras(tmp_path):
    """Built-in operations only, and the same mask in every format."""
    network = vislearn.create_model(
        "unet", input_shape=(16, 16, 3), num_classes=4, filters=4, depth=2, padding="same"
    )
    report = vislearn.export_model(network, tmp_path / "unet", task=TASK)
    assert {row.format for row in report.rows} == {"savedmodel", "litert", "onnx"}
    for row in report.rows:
        assert row.max_difference["confidence"] <= 1e-4
    predictor = vislearn.load_predictor(tmp_path / "unet", format="litert")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    answers = predictor.predict(images)
    expected = decoded(network.predict(images.astype("float32"), verbose=0))
    assert np.mean(answers["mask"] == expected["mask"]) > 0.99
    np.testing.assert_allclose(answers["confidence"], expected["confidence"], atol=1e-4)
