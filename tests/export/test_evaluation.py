"""Accuracy, size and speed, in one table for Keras and the exported files."""

import numpy as np
import pytest

from vislearn.export import FORMATS, evaluate_keras, evaluate_package

pytestmark = pytest.mark.tensorflow


def test_one_row_a_format(exported, trained, task, digits):
    directory, report = exported
    images, labels = digits[0][1300:], digits[1][1300:]
    truth = {"images": images, "labels": labels}
    rows = {row.format: row for row in evaluate_package(directory, truth, repeats=3)}
    assert list(rows) == list(FORMATS)
    for told in report.rows:
        assert rows[told.format].metrics == pytest.approx(told.metrics)
        assert rows[told.format].size == told.size
        assert 0 < rows[told.format].latency_ms < 1000
        assert rows[told.format].images_per_second > 1
    row = evaluate_keras(trained, task, truth, repeats=3)
    guesses = np.argmax(trained.predict(images.astype("float32"), verbose=0), axis=-1)
    assert row.metrics["accuracy"] == pytest.approx(np.mean(guesses == labels))
    assert rows["litert"].metrics == pytest.approx(row.metrics)
    assert row.size == 4 * trained.count_params()


def test_accuracy_counts_right_answers(exported, digits):
    from vislearn.export import load_predictor

    images = digits[0][:10]
    answers = load_predictor(exported[0]).predict(images)["class_id"].astype(int)
    answers[:3] = (answers[:3] + 1) % 10
    truth = {"images": images, "labels": answers}
    (row,) = evaluate_package(exported[0], truth, ["litert"], batch_size=3, repeats=1)
    assert row.metrics["accuracy"] == 0.7


@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        (np.zeros((0, 8, 8, 1), "uint8"), [], {}, "image is empty"),
        (np.zeros((2, 8, 8, 1), "float32"), [0, 1], {}, "image must be uint8"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0], {}, "labels must be 2 integers"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0, 10], {}, r"labels must lie in 0\.\.9"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0, 1], {"batch_size": 0}, "batch_size=0"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0, 1], {"repeats": 0}, "repeats=0"),
    ],
)
def test_wrong_arguments(images, labels, options, message, exported, trained, task):
    truth = {"images": images, "labels": labels}
    with pytest.raises(ValueError, match=message):
        evaluate_package(exported[0], truth, ["onnx"], **options)
    with pytest.raises(ValueError, match=message):
        evaluate_keras(trained, task, truth, **options)
