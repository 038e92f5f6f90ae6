"""Losses of masks against float64 NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.losses import Dice, Jaccard, PixelCrossentropy, SegmentationLoss

SHAPE = (3, 6, 5)


def batch(classes=4, ignored=0.3, scale=2.0):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, classes, SHAPE).astype("uint8")
    masks[rng.uniform(size=SHAPE) < ignored] = 255
    masks[0, :4] = 255  # the images differ in how many pixels count
    return masks, (rng.normal(size=(*SHAPE, classes)) * scale).astype("float32")


def log_softmax(logits):
    logits = logits.astype("float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def cross_entropy(masks, logits, smoothing=0.0):
    """Pixel by pixel, the mean over those that count."""
    log_p = log_softmax(logits)
    values = []
    for place in np.argwhere(masks != 255):
        row = log_p[tuple(place)]
        values.append(-(1 - smoothing) * row[masks[tuple(place)]] - smoothing * row.mean())
    return np.mean(values)


def dice(masks, logits, smooth=1.0):
    p = np.exp(log_softmax(logits))[masks != 255]  # (pixels, classes)
    t = np.eye(p.shape[-1])[masks[masks != 255]]
    scores = (2 * (p * t).sum(0) + smooth) / (p.sum(0) + t.sum(0) + smooth)
    return 1 - scores.mean()


def jaccard(masks, logits, smooth=1.0):
    p = np.exp(log_softmax(logits))[masks != 255]  # (pixels, classes)
    t = np.eye(p.shape[-1])[masks[masks != 255]]
    return 1 - (((p * t).sum(0) + smooth) / ((p + t - p * t).sum(0) + smooth)).mean()


def value(loss, masks, logits, **options):
    return float(ops.convert_to_numpy(loss(masks, logits, **options)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("classes", [2, 4])
def test_cross_entropy(smoothing, classes):
    masks, logits = batch(classes)
    found = value(PixelCrossentropy(smoothing), masks, logits)
    assert found == pytest.approx(cross_entropy(masks, logits, smoothing), rel=1e-6)


def test_dice():
    masks, logits = batch()
    assert value(Dice(), masks, logits) == pytest.approx(dice(masks, logits), rel=1e-6)
    assert value(Dice(7.0), masks, logits) == pytest.approx(dice(masks, logits, 7.0), rel=1e-6)
    right = 50.0 * np.eye(4, dtype="float32")[np.where(masks == 255, 0, masks)]
    assert value(Dice(), masks, right) == pytest.approx(0, abs=1e-5)


def test_jaccard():
    masks, logits = batch()
    assert value(Jaccard(), masks, logits) == pytest.approx(jaccard(masks, logits), rel=1e-6)
    assert value(Jaccard(7.0), masks, logits) == pytest.approx(jaccard(masks, logits, 7), rel=1e-6)
    right = 50.0 * np.eye(4, dtype="float32")[np.where(masks == 255, 0, masks)]
    assert value(Jaccard(), masks, right) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", [PixelCrossentropy(), Dice(), Jaccard()])
def test_sure_answers_have_finite_slopes(loss, dtype):
    masks, _ = batch()
    one_hot = np.eye(4, dtype="float32")[np.where(masks == 255, 0, masks)]
    for logits in (1e4 * one_hot, -1e4 * one_hot, 0 * one_hot):
        found = backend.input_gradient(lambda x: loss(masks, x), ops.cast(logits, dtype), [])
        assert np.all(np.isfinite(ops.convert_to_numpy(ops.cast(found, "float32"))))


def test_sum():
    masks, logits = batch()
    found = value(SegmentationLoss(0.5, 0.1), masks, logits)
    expected = cross_entropy(masks, logits, 0.1) + 0.5 * dice(masks, logits)
    assert found == pytest.approx(expected, rel=1e-6)
    found = value(SegmentationLoss(0.0, jaccard=2.0), masks, logits)
    expected = cross_entropy(masks, logits) + 2 * jaccard(masks, logits)
    assert found == pytest.approx(expected, rel=1e-6)
    alone = value(SegmentationLoss(0.0), masks, logits)
    assert alone == pytest.approx(cross_entropy(masks, logits), rel=1e-6)


@pytest.mark.parametrize("loss", [PixelCrossentropy(), Dice(), Jaccard(), SegmentationLoss()])
def test_ignored_pixels_change_nothing(loss):
    masks, logits = batch()
    other = logits.copy()
    other[masks == 255] += 100 * np.random.default_rng(1).normal(size=4)
    assert value(loss, masks, other) == pytest.approx(value(loss, masks, logits), rel=1e-6)
    changed = logits.copy()
    changed[masks != 255] *= 1.5
    assert value(loss, masks, changed) != pytest.approx(value(loss, masks, logits), rel=1e-3)


def test_nothing_counts():
    masks, logits = np.full(SHAPE, 255, "uint8"), batch()[1]
    assert value(PixelCrossentropy(), masks, logits) == 0
    assert value(Dice(), masks, logits) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [PixelCrossentropy(), Dice(), Jaccard(), SegmentationLoss()])
def test_centre_of_a_larger_mask(loss):
    """The rest is odd: 2 rows of 5 are taken off the top, 1 column of 2 off the left."""
    masks, logits = batch()
    larger = np.random.default_rng(2).integers(0, 4, (3, 11, 7)).astype("uint8")
    larger[:, 2:8, 1:6] = masks
    assert value(loss, larger, logits) == pytest.approx(value(loss, masks, logits), rel=1e-6)
    with pytest.raises(ValueError, match="5 x 5 pixels is too small for an answer of 6 x 5"):
        loss(masks[:, :5], logits)


def test_bfloat16_logits_give_a_float32_loss():
    masks, logits = batch()
    rounded = ops.cast(logits, "bfloat16")
    found = SegmentationLoss()(masks, rounded)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    exact = ops.convert_to_numpy(ops.cast(rounded, "float32"))
    expected = cross_entropy(masks, exact) + dice(masks, exact)
    assert float(ops.convert_to_numpy(found)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PixelCrossentropy(1.1), "label_smoothing=1.1"),
        (lambda: SegmentationLoss(label_smoothing=-0.1), "label_smoothing=-0.1"),
        (lambda: SegmentationLoss(dice=-1), "dice=-1"),
        (lambda: SegmentationLoss(jaccard=-1), "jaccard=-1"),
        (lambda: Dice(0), "smooth=0"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    "loss", [PixelCrossentropy(0.1), Dice(2.0), Jaccard(2.0), SegmentationLoss(0.5, 0.1)]
)
def test_comes_back_from_its_configuration(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss)
    masks, logits = batch()
    assert value(again, masks, logits) == value(loss, masks, logits)
