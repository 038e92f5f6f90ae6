"""Self-attention as a layer: Keras's own gives the same, precision, configuration, errors."""

import keras
import numpy as np
import pytest

from vislearn.layers import SelfAttention

X = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def built(**options):
    layer = SelfAttention(2, **options)
    layer.build(X.shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    return layer


def test_equals_the_layer_of_keras():
    layer = built()
    joint, bias, out, out_bias = (numpy(weight) for weight in layer.weights)
    weights = []
    for kernel, part in zip(np.split(joint, 3, axis=1), np.split(bias, 3), strict=True):
        weights += [kernel.reshape(8, 2, 4), part.reshape(2, 4)]
    theirs = keras.layers.MultiHeadAttention(2, 4)
    theirs.build(X.shape, X.shape)
    theirs.set_weights([*weights, out.reshape(2, 4, 8), out_bias])
    np.testing.assert_allclose(numpy(layer(X)), numpy(theirs(X, X)), rtol=1e-5, atol=1e-5)


def test_a_function_as_initializer():
    """Which, unlike Keras's initializers, can't be asked for other values."""
    layer = SelfAttention(2, kernel_initializer=lambda shape, dtype: keras.ops.ones(shape, dtype))
    layer.build(X.shape)
    np.testing.assert_array_equal(numpy(layer.qkv_kernel), np.ones((8, 24)))


def test_softmax_in_float32_under_mixed_precision():
    """Scores of hundreds: in bfloat16 their differences would be lost."""
    layer, exact = built(dtype="mixed_bfloat16"), built()
    answer = layer(X)
    assert keras.backend.standardize_dtype(answer.dtype) == "bfloat16"
    expected = numpy(exact(X))
    assert np.abs(numpy(answer) - expected).max() < 0.05 * np.abs(expected).max()


def test_a_copy_made_from_the_configuration_is_the_same():
    layer = built(kernel_initializer=keras.initializers.RandomNormal(stddev=0.5))
    copy = SelfAttention.from_config(layer.get_config())
    copy.build(X.shape)
    assert copy.kernel_initializer.stddev == 0.5
    copy.set_weights(layer.get_weights())
    answer = numpy(layer(X))
    assert answer.shape == layer.compute_output_shape(X.shape)
    np.testing.assert_array_equal(numpy(copy(X)), answer)


def test_errors():
    for heads in (0, 3):
        with pytest.raises(ValueError, match=rf"num_heads={heads} must divide dim=8"):
            SelfAttention(heads).build(X.shape)
