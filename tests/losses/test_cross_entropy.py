"""Smoothed cross entropy against float64 NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.losses import SparseCategoricalCrossentropy


def reference(labels, logits, smoothing):
    """The loss of each example in float64."""
    logits = logits.astype("float64")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    target = np.eye(logits.shape[-1])[labels] * (1 - smoothing) + smoothing / logits.shape[-1]
    return -(target * log_p).sum(axis=-1)


def batch(classes=7, scale=1.0, count=32):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, count)
    return labels, (rng.normal(size=(count, classes)) * scale).astype("float32")


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("classes", [2, 7, 1000])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])  # 1e4: exp(logit) is infinite in float32
def test_equals_numpy(smoothing, classes, scale):
    labels, logits = batch(classes, scale)
    loss = SparseCategoricalCrossentropy(smoothing, reduction=None)
    found = ops.convert_to_numpy(loss(labels, logits))
    expected = reference(labels, logits, smoothing)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    mean = SparseCategoricalCrossentropy(smoothing)(labels, logits)
    np.testing.assert_allclose(ops.convert_to_numpy(mean), expected.mean(), rtol=1e-6)


def test_equals_keras_without_smoothing():
    labels, logits = batch()
    stock = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    ours = SparseCategoricalCrossentropy()(labels, logits)
    np.testing.assert_allclose(ops.convert_to_numpy(ours), ops.convert_to_numpy(stock), rtol=1e-6)


def test_labels_may_be_a_column_and_weights_count():
    labels, logits = batch()
    loss = SparseCategoricalCrossentropy(0.1, reduction=None)
    column = ops.convert_to_numpy(loss(labels[:, None], logits))
    np.testing.assert_array_equal(column, ops.convert_to_numpy(loss(labels, logits)))
    weights = np.arange(len(labels), dtype="float32")
    weighted = ops.convert_to_numpy(loss(labels, logits, sample_weight=weights))
    np.testing.assert_allclose(weighted, column * weights, rtol=1e-6)


def test_bfloat16_logits_give_a_float32_loss():
    labels, logits = batch()
    rounded = ops.cast(logits, "bfloat16")
    exact = reference(labels, ops.convert_to_numpy(ops.cast(rounded, "float32")), 0.1)
    loss = SparseCategoricalCrossentropy(0.1, reduction=None)(labels, rounded)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(loss), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("smoothing", [-0.1, 1.01])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=f"label_smoothing={smoothing}"):
        SparseCategoricalCrossentropy(smoothing)


def test_comes_back_from_its_configuration():
    loss = SparseCategoricalCrossentropy(0.2, name="smoothed")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is SparseCategoricalCrossentropy
    assert again.get_config() == loss.get_config()
    labels, logits = batch()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again(labels, logits)), ops.convert_to_numpy(loss(labels, logits))
    )
