"""What the regression task answers, and how it is measured."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.tasks import Regression, get_task
from vislearn.training.recipes import Recipe

NAMES = ("wind", "pressure")
TASK = Regression(NAMES, means=(60.0, 990.0), deviations=(25.0, 15.0))
rng = np.random.default_rng(0)
OUTPUTS = rng.normal(size=(20, 2)).astype("float32")
TARGETS = (rng.normal(size=(20, 2)) * [25, 15] + [60, 990]).astype("float32")


def decoded(task=TASK, outputs=OUTPUTS):
    answers = task.decode(ops.convert_to_tensor(outputs))
    return {name: ops.convert_to_numpy(value) for name, value in answers.items()}


def test_decode_gives_the_units_of_the_targets():
    values = decoded()["values"]
    assert values.dtype == "float32"
    np.testing.assert_allclose(values, OUTPUTS * [25, 15] + [60, 990], rtol=1e-6)
    half = TASK.decode(ops.cast(OUTPUTS, "bfloat16"))["values"]
    assert keras.backend.standardize_dtype(half.dtype) == "float32"


def test_without_means_the_outputs_are_the_values():
    np.testing.assert_array_equal(decoded(Regression(NAMES))["values"], OUTPUTS)


def test_loss_weighs_all_units_alike():
    loss = TASK.loss(Recipe())
    expected = np.mean(((TARGETS - [60, 990]) / [25, 15] - OUTPUTS) ** 2)
    assert float(loss(TARGETS, OUTPUTS)) == pytest.approx(expected, rel=1e-5)


def test_measure_equals_the_metrics_of_training():
    found = TASK.measure(decoded(), {"targets": TARGETS})
    gaps = decoded()["values"] - TARGETS
    assert found["mae"] == pytest.approx(np.abs(gaps).mean(), rel=1e-5)
    assert found["rmse wind"] == pytest.approx((gaps[:, 0] ** 2).mean() ** 0.5, rel=1e-5)
    for metric in TASK.metrics():
        for part in (slice(0, 8), slice(8, 20)):
            metric.update_state(TARGETS[part], OUTPUTS[part])
        assert float(metric.result()) == pytest.approx(found[metric.name], rel=1e-5)
    assert TASK.metric in found
    assert TASK.metric_mode == "min"
    assert list(
        Regression(("wind",)).measure({"values": gaps[:, :1]}, {"targets": gaps[:, :1]})
    ) == [
        "mae",
        "rmse",
    ]


def test_fitted_to_the_training_data():
    constant = np.stack([TARGETS[:, 0], np.full(20, 7.0)], axis=1)
    found = TASK.fitted({"targets": constant})
    assert found["means"] == pytest.approx([TARGETS[:, 0].mean(), 7], rel=1e-5)
    assert found["deviations"] == pytest.approx([TARGETS[:, 0].std(), 1], rel=1e-5)
    task = get_task("regression", NAMES, **found)
    assert task.options() == {name: tuple(values) for name, values in found.items()}


def test_compare_is_in_units_of_the_deviations():
    expected = decoded()
    found = TASK.compare(expected, {"values": expected["values"] + np.float32([0, 1.5])})
    assert found.max_difference["values"] == pytest.approx(0.1, rel=1e-2)
    assert (found.agreement, found.unexplained) == (None, 0)
    broken = {"values": np.full_like(expected["values"], np.nan)}
    assert TASK.compare(expected, broken).max_difference["values"] == np.inf


def test_words():
    answers, truth = {"values": np.array([[61.5, 985]])}, {"targets": np.array([[60.0, 990]])}
    found = TASK.describe(answers, 0)
    assert found == [("wind", 61.5), ("pressure", 985.0)]
    assert TASK.true_label(truth, 0) == "wind 60, pressure 990"
    assert TASK.record(answers, truth, 0, found) == {
        "values": {"wind": 61.5, "pressure": 985.0},
        "true": {"wind": 60.0, "pressure": 990.0},
    }


def test_pictures():
    images = np.zeros((20, 8, 8, 1), np.uint8)
    truth = {"images": images, "targets": TARGETS}
    assert [section.title for section in TASK.sections(None, decoded(), truth)] == [
        "Answers and truth",
        "Answers",
    ]
    figure = TASK.draw(images[:3], {"values": TARGETS[:3]}, None, titles=["a", "b", "c"])
    assert len(figure.axes) == 3
    with pytest.raises(ValueError, match="titles has 1 entries for 3 images"):
        TASK.draw(images[:3], {"values": TARGETS[:3]}, None, titles=["a"])
    with pytest.raises(ValueError, match=r"values has the shape \(2, 2\) for 3 images"):
        TASK.draw(images[:3], {"values": TARGETS[:2]}, None)


def test_check_model():
    inputs = keras.Input((4,))
    TASK.check_model(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
    with pytest.raises(ValueError, match=r"output shape \(None, 3\), and task has 2 quantities"):
        TASK.check_model(keras.Model(inputs, keras.layers.Dense(3)(inputs)))
    with pytest.raises(ValueError, match="sigmoid"):
        TASK.check_model(keras.Model(inputs, keras.layers.Dense(2, "sigmoid")(inputs)))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (TARGETS[:, 0], "a row an image"),
        (TARGETS.astype(int), "must be floats"),
        (np.where(TARGETS > 0, np.nan, 0).astype("float32"), "must be finite"),
    ],
)
def test_check_truth(targets, message):
    images = np.zeros((20, 8, 8, 1), np.uint8)
    TASK.check_truth({"images": images, "targets": TARGETS})
    with pytest.raises(ValueError, match=message):
        TASK.check_truth({"images": images, "targets": targets})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ()}, "needs the name of a quantity"),
        ({"classes": ("a", "a")}, "twice"),
        ({"means": (1.0,)}, r"means=\(1\.0,\) must be finite, one for each"),
        ({"deviations": (1.0, 0.0)}, r"deviations=\(1\.0, 0\.0\) must be positive"),
        ({"deviations": (1.0, float("inf"))}, "must be finite"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Regression(**{"classes": NAMES, **arguments})


def test_contents():
    """What a run says of its data: a regression has no classes."""
    assert Regression(("speed",)).contents() == "1 quantity: speed"
    assert Regression(("speed", "size")).contents() == "2 quantities: speed, size"
