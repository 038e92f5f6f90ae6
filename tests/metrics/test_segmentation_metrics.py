"""Intersection over union and pixel accuracy, by hand and in both forms."""

import keras
import numpy as np
import pytest

from vislearn.metrics.segmentation import (
    MeanIoU,
    PixelAccuracy,
    intersection_over_union,
    pixel_confusion,
    summary,
)


def by_hand(predicted, masks, classes):
    """IoU of each class as sets of pixels."""
    found = []
    for number in range(classes):
        counts = masks != 255
        answer, truth = (predicted == number) & counts, (masks == number) & counts
        union = np.sum(answer | truth)
        found.append(np.sum(answer & truth) / union if union else np.nan)
    return np.array(found)


def example(classes=5, occurring=4):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, occurring, (3, 8, 9)).astype("uint8")
    predicted = np.where(rng.uniform(size=masks.shape) < 0.6, masks, 1).astype("int32")
    masks[rng.uniform(size=masks.shape) < 0.2] = 255
    return predicted, masks


def test_confusion_and_iou():
    predicted, masks = example()
    matrix = pixel_confusion(predicted, masks, 5)
    assert matrix.sum() == np.sum(masks != 255)
    assert matrix[2, 1] == np.sum((masks == 2) & (predicted == 1))
    np.testing.assert_allclose(intersection_over_union(matrix), by_hand(predicted, masks, 5))
    assert np.isnan(intersection_over_union(matrix)[4])
    found = summary(matrix)
    assert found["mean_iou"] == pytest.approx(np.nanmean(by_hand(predicted, masks, 5)))
    right = (predicted == masks)[masks != 255]
    assert found["pixel_accuracy"] == pytest.approx(right.mean())


def test_known_value():
    predicted, masks = np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 255]]])
    # class 0: 1 of 2 pixels; class 1: 1 of 2
    assert summary(pixel_confusion(predicted, masks, 2)) == {
        "mean_iou": 0.5,
        "pixel_accuracy": pytest.approx(2 / 3),
    }


def test_nothing_counts():
    found = summary(pixel_confusion(np.zeros((1, 2, 2), int), np.full((1, 2, 2), 255), 3))
    assert all(np.isnan(value) for value in found.values())


def test_keras_metrics_are_the_same_over_batches():
    predicted, masks = example()
    logits = np.random.default_rng(1).normal(size=(*masks.shape, 5)).astype("float32")
    logits += 10 * np.eye(5)[predicted]
    found = summary(pixel_confusion(predicted, masks, 5))
    for metric in (MeanIoU(5), PixelAccuracy()):
        for index in range(len(masks)):
            metric.update_state(masks[index : index + 1], logits[index : index + 1])
        assert float(metric.result()) == pytest.approx(found[metric.name], abs=1e-6)
        metric.reset_state()
        metric.update_state(masks, logits)
        assert float(metric.result()) == pytest.approx(found[metric.name], abs=1e-6)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        again.update_state(masks, logits)
        assert float(again.result()) == float(metric.result())


def test_weights_of_examples():
    predicted, masks = example()
    logits = np.eye(5, dtype="float32")[predicted]
    metric = PixelAccuracy()
    metric.update_state(masks, logits, np.array([1.0, 0.0, 0.0]))
    assert float(metric.result()) == pytest.approx(
        (predicted[0] == masks[0])[masks[0] != 255].mean(), abs=1e-6
    )


def test_centre_of_a_larger_mask():
    predicted, masks = example()
    larger = np.pad(masks, [(0, 0), (2, 3), (1, 1)], constant_values=2)
    np.testing.assert_array_equal(
        pixel_confusion(predicted, larger, 5), pixel_confusion(predicted, masks, 5)
    )
    logits = np.eye(5, dtype="float32")[predicted]
    for build in (lambda: MeanIoU(5), PixelAccuracy):
        metric, cropped = build(), build()
        metric.update_state(larger, logits)
        cropped.update_state(masks, logits)
        assert 0 < float(cropped.result()) < 1
        assert float(metric.result()) == float(cropped.result())


def test_numbers_that_are_no_class_are_refused():
    predicted, masks = example()
    with pytest.raises(ValueError, match=r"masks holds class numbers from 0 to 3, .* 0 to 2"):
        pixel_confusion(np.minimum(predicted, 2), masks, 3)
    with pytest.raises(ValueError, match="predicted holds class numbers from -1"):
        pixel_confusion(np.full_like(predicted, -1), masks, 5)
