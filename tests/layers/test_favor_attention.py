"""Attention by random features as a layer: shape, draws, precision, errors."""

import keras
import numpy as np
import pytest

from vislearn.layers import FavorAttention
from vislearn.ops.favor import orthogonal_gaussian

X = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def built(**options):
    layer = FavorAttention(2, 32, **options)
    layer.build(X.shape)
    return layer


def test_a_copy_made_from_the_configuration_is_the_same():
    layer = built(seed=3, kernel_initializer=keras.initializers.RandomNormal(stddev=0.5))
    copy = FavorAttention.from_config(layer.get_config())
    copy.build(X.shape)
    np.testing.assert_array_equal(numpy(copy.projection), numpy(layer.projection))
    copy.set_weights(layer.get_weights())
    answer = numpy(layer(X))
    assert answer.shape == layer.compute_output_shape(X.shape)
    np.testing.assert_array_equal(numpy(copy(X)), answer)


def test_equals_softmax_attention_with_many_features():
    """The same weights in Keras's layer: both scale by the root of a head's size."""
    kernel = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.3, seed=1)}
    layer = FavorAttention(2, 16384, **kernel)
    layer.build(X.shape)
    exact = keras.layers.MultiHeadAttention(2, 4)
    exact.build(X.shape, X.shape)
    joint, _, out, *_ = (numpy(weight) for weight in layer.weights)
    weights = []
    for part in np.split(joint, 3, axis=1):
        weights += [part.reshape(8, 2, 4), np.zeros((2, 4))]
    exact.set_weights([*weights, out.reshape(2, 4, 8), np.zeros(8)])
    x = 0.5 * X
    expected = numpy(exact(x, x))
    assert np.abs(numpy(layer(x)) - expected).max() < 0.05 * np.abs(expected).max()


def test_the_random_vectors_are_saved_and_not_trained():
    layer = built(seed=5)
    assert [w.name for w in layer.non_trainable_weights] == ["projection"]
    np.testing.assert_array_equal(numpy(layer.projection), orthogonal_gaussian(32, 4, 5))


def test_redraw():
    layer = built()
    before = numpy(layer(X))
    layer.redraw(1)
    np.testing.assert_array_equal(numpy(layer.projection), orthogonal_gaussian(32, 4, 1))
    assert np.any(numpy(layer(X)) != before)


def test_features_in_float32_under_mixed_precision():
    layer = built(dtype="mixed_bfloat16")
    exact = built()
    exact.set_weights(layer.get_weights())
    answer = layer(X)
    assert keras.backend.standardize_dtype(answer.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(answer), numpy(exact(X)), atol=0.05)


def test_errors():
    with pytest.raises(ValueError, match="num_features=0"):
        FavorAttention(2, 0)
    for heads in (0, 3):
        with pytest.raises(ValueError, match=rf"num_heads={heads} must divide dim=8"):
            FavorAttention(heads).build(X.shape)
