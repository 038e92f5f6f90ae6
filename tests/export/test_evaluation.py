"""Accuracy, size and speed, in one table for Keras and the exported files."""

import numpy as np
import pytest

from vislearn.export import FORMATS, evaluate_keras, evaluate_package

pytestmark = pytest.mark.tensorflow


def test_one_row_a_format(exported, trained, digits):
    directory, report = exported
    images, labels = digits[0][1300:], digits[1][1300:]
    rows = {row.format: row for row in evaluate_package(directory, images, labels, repeats=3)}
    assert list(rows) == list(FORMATS)
    for told in report.rows:
        assert rows[told.format].accuracy == pytest.approx(told.accuracy)
        assert rows[told.format].size == told.size
        assert 0 < rows[told.format].latency_ms < 1000
        assert rows[told.format].images_per_second > 1
    row = evaluate_keras(trained, images, labels, repeats=3)
    guesses = np.argmax(trained.predict(images.astype("float32"), verbose=0), axis=-1)
    assert row.accuracy == pytest.approx(np.mean(guesses == labels))
    assert rows["litert"].accuracy == pytest.approx(row.accuracy)
    assert row.size == 4 * trained.count_params()


def test_accuracy_counts_right_answers(exported, digits):
    from vislearn.export import load_predictor

    images = digits[0][:10]
    answers = load_predictor(exported[0]).predict(images)["class_id"].astype(int)
    answers[:3] = (answers[:3] + 1) % 10
    (row,) = evaluate_package(exported[0], images, answers, ["litert"], batch_size=3, repeats=1)
    assert row.accuracy == 0.7


@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        (np.zeros((0, 8, 8, 1), "uint8"), [], {}, "images is empty"),
        (np.zeros((2, 8, 8, 1), "float32"), [0, 1], {}, "images must be uint8"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0], {}, "labels must be 2 integers"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0, 10], {}, r"labels must lie in 0\.\.9"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0, 1], {"batch_size": 0}, "batch_size=0"),
        (np.zeros((2, 8, 8, 1), "uint8"), [0, 1], {"repeats": 0}, "repeats=0"),
    ],
)
def test_wrong_arguments(images, labels, options, message, exported, trained):
    with pytest.raises(ValueError, match=message):
        evaluate_package(exported[0], images, labels, ["onnx"], **options)
    with pytest.raises(ValueError, match=message):
        evaluate_keras(trained, images, labels, **options)
