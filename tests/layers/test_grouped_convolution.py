"""Grouped convolution: equal to one convolution a group, in every way it is computed."""

import keras
import numpy as np
import pytest
from keras import ops

import vislearn.layers.grouped_convolution as module
from vislearn.layers import GroupedConv2D, conv


def by_group(x, kernel, bias, groups, **options):
    """The definition: each group of filters sees its own group of channels."""
    parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
    found = [ops.convert_to_numpy(ops.conv(part, one, **options)) for part, one in parts]
    return np.concatenate(found, -1) + bias


@pytest.mark.parametrize(
    ("channels", "filters", "groups", "options"),
    [
        (12, 24, 1, {}),
        (12, 24, 3, {}),
        (64, 128, 32, {"strides": 2, "padding": "same"}),
        (96, 96, 2, {"padding": "valid"}),
        (8, 8, 8, {"dilation_rate": 2}),
    ],
    ids=["one", "joined to one", "joined to two", "wide", "depthwise"],
)
def test_equals_a_convolution_for_each_group(channels, filters, groups, options):
    x = np.random.default_rng(0).normal(size=(2, 7, 6, channels)).astype("float32")
    layer = GroupedConv2D(filters, 3, groups=groups, bias_initializer="normal", **options)
    found = ops.convert_to_numpy(layer(x))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (3, 3, channels // groups, filters)
    assert found.shape == layer.compute_output_shape(x.shape)
    expected = by_group(x, kernel, bias, groups, **options)
    assert np.max(np.abs(found - expected)) < 1e-5 * np.max(np.abs(expected))


@pytest.mark.parametrize("fast", [False, True])
def test_equals_keras(fast, monkeypatch):
    """Keras's own operation, which `fast` is: the outcome, and the weights that each reads."""
    monkeypatch.setattr("vislearn.backend.convolves_in_groups", lambda: fast)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 16)).astype("float32")
    ours, theirs = GroupedConv2D(8, 3, groups=4), keras.layers.Conv2D(8, 3, groups=4)
    expected = ops.convert_to_numpy(theirs(x))
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ops.convert_to_numpy(ours(x)), expected, rtol=1e-4, atol=1e-5)
    assert ours.get_config().keys() == theirs.get_config().keys()


@pytest.mark.parametrize(
    ("groups", "channels", "joined"),
    [(32, 4, 8), (32, 32, 1), (64, 16, 2), (3, 4, 1), (6, 8, 2), (2, 100, 1)],
)
def test_small_groups_are_joined(groups, channels, joined):
    assert module._joined(groups, channels) == joined


def test_trains():
    """Without XLA TensorFlow has no gradient of the grouped operation on a CPU."""
    inputs = keras.Input((6, 6, 8))
    outputs = keras.layers.GlobalAveragePooling2D()(conv(inputs, 8, 3, groups=4, name="conv"))
    model = keras.Model(inputs, outputs)
    assert isinstance(model.get_layer("conv"), GroupedConv2D)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 6, 6, 8)), rng.normal(size=(16, 8))
    model.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=False)
    kernel = model.get_layer("conv").get_weights()[0]
    losses = [float(model.train_on_batch(x, y)) for _ in range(10)]
    assert losses[-1] < losses[0]
    changed = np.abs(model.get_layer("conv").get_weights()[0] - kernel).max(axis=(0, 1))
    assert np.all(changed > 0)


def test_only_a_grouped_one_is_another_layer():
    inputs = keras.Input((6, 6, 8))
    assert type(conv(inputs, 8, 3, name="conv")._keras_history.operation) is keras.layers.Conv2D


def test_channels_last_only():
    with pytest.raises(ValueError, match="data_format='channels_first'"):
        GroupedConv2D(8, 3, groups=2, data_format="channels_first")
