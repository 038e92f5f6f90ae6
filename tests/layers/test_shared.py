"""The layers and blocks that several builders share."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.layers import (
    PaddedIdentity,
    StochasticDepth,
    classification_head,
    conv,
    max_pool,
    preprocess,
)


def pixels(shape=(2, 6, 6, 3), seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def model_of(function, shape):
    """A model of what `function` does with an input of `shape`."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


# Stochastic depth ---------------------------------------------------------------------------------


def test_stochastic_depth_drops_whole_examples_and_keeps_the_mean():
    layer = StochasticDepth(0.25, seed=1)
    outputs = ops.convert_to_numpy(layer(np.ones((4000, 2, 3), "float32"), training=True))
    by_example = outputs.reshape(4000, -1)
    assert np.all(by_example == by_example[:, :1])  # all of an example or nothing of it
    np.testing.assert_allclose(np.unique(by_example), [0.0, 1 / 0.75], rtol=1e-6)
    # Four standard deviations of the share of survivors.
    assert abs(np.mean(by_example > 0) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)
    assert abs(by_example.mean() - 1) < 0.04


def test_stochastic_depth_draws_anew_and_repeats_with_its_seed():
    inputs = np.ones((64, 1), "float32")
    draws = [
        [ops.convert_to_numpy(layer(inputs, training=True)) for _ in range(2)]
        for layer in (StochasticDepth(0.5, seed=3), StochasticDepth(0.5, seed=3))
    ]
    assert np.any(draws[0][0] != draws[0][1])
    np.testing.assert_array_equal(draws[0], draws[1])


@pytest.mark.parametrize("call", [{}, {"training": False}])
def test_stochastic_depth_does_nothing_in_inference(call):
    inputs = pixels()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(StochasticDepth(0.9)(inputs, **call)), inputs
    )


def test_stochastic_depth_keeps_the_type_under_mixed_precision():
    layer = StochasticDepth(0.5, seed=0, dtype="mixed_bfloat16")
    outputs = layer(ops.ones((8, 2), "bfloat16"), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_stochastic_depth_refuses_rates_out_of_range(rate):
    with pytest.raises(ValueError, match=f"rate={rate}"):
        StochasticDepth(rate)


# Padded identity ----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [6, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("filters", [3, 8])
def test_padded_identity_takes_every_strideth_pixel_and_appends_zeros(side, stride, filters):
    inputs = pixels((2, side, side, 3))
    outputs = ops.convert_to_numpy(PaddedIdentity(filters, stride)(inputs))
    out = -(-side // stride)
    assert outputs.shape == (2, out, out, filters)
    np.testing.assert_array_equal(outputs[..., :3], inputs[:, ::stride, ::stride])
    assert not outputs[..., 3:].any()


def test_padded_identity_refuses_to_drop_channels():
    with pytest.raises(ValueError, match="filters=2 must be at least the 3"):
        PaddedIdentity(2)(pixels())


@pytest.mark.parametrize("layer", [PaddedIdentity(8, 2, name="a"), StochasticDepth(0.2, seed=5)])
def test_layers_come_back_from_their_configuration(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


# Preprocessing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "low", "high"), [("unit", 0, 1), ("symmetric", -1, 1)])
def test_preprocess_maps_the_range_of_pixels(mode, low, high):
    model = model_of(lambda x: preprocess(x, mode), (1, 1, 3))
    ends = np.array([0.0, 255.0], "float32").reshape(2, 1, 1, 1).repeat(3, axis=-1)
    outputs = ops.convert_to_numpy(model(ends))
    np.testing.assert_allclose(outputs[0], low, atol=1e-6)
    np.testing.assert_allclose(outputs[1], high, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 1, 4])
def test_preprocess_imagenet_normalises_by_channel_or_by_the_average(channels):
    images = pixels((2, 4, 4, channels))
    outputs = model_of(lambda x: preprocess(x, "imagenet"), images.shape[1:])(images)
    # The published figures, for pixels 0..1.
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    if channels != 3:
        mean, std = mean.mean(), std.mean()
    expected = (images / 255.0 - mean) / std
    np.testing.assert_allclose(ops.convert_to_numpy(outputs), expected, atol=1e-5)


def test_preprocess_none_leaves_pixels_alone_and_unknown_modes_are_refused():
    inputs = keras.Input((4, 4, 3))
    assert preprocess(inputs, None) is inputs
    with pytest.raises(ValueError, match="preprocessing='coffee' must be None, one of"):
        preprocess(inputs, "coffee")


# Convolution and pooling --------------------------------------------------------------------------


def windows(image, size, stride, pad, fill=0.0):
    """`(rows, columns, size, size, channels)`: the windows of one padded image."""
    padded = np.pad(image, [(pad, pad), (pad, pad), (0, 0)], constant_values=fill)
    rows, columns = ((padded.shape[axis] - size) // stride + 1 for axis in (0, 1))
    return np.array(
        [
            [
                padded[i * stride : i * stride + size, j * stride : j * stride + size]
                for j in range(columns)
            ]
            for i in range(rows)
        ]
    )


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2), (5, 3)])
def test_conv_pads_alike_on_both_sides(side, size, stride):
    images = pixels((2, side, side, 3))
    model = model_of(lambda x: conv(x, 4, size, stride=stride, name="conv"), (side, side, 3))
    kernel, *others = model.get_layer("conv").get_weights()
    assert others == []  # no bias
    outputs = ops.convert_to_numpy(model(images))
    out = -(-side // stride)
    assert outputs.shape == (2, out, out, 4)
    for image, output in zip(images, outputs, strict=True):
        expected = np.einsum(
            "rcijk,ijkf->rcf", windows(image, size, stride, (size - 1) // 2), kernel
        )
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_max_pool_pads_alike_on_both_sides(side, stride):
    images = pixels((2, side, side, 3))
    outputs = model_of(lambda x: max_pool(x, 3, stride=stride, name="pool"), images.shape[1:])(
        images
    )
    for image, output in zip(images, ops.convert_to_numpy(outputs), strict=True):
        np.testing.assert_array_equal(output, windows(image, 3, stride, 1).max(axis=(2, 3)))


# Head ---------------------------------------------------------------------------------------------


def test_head_is_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        head = classification_head(keras.Input((8,)), 5, "softmax")
    finally:
        keras.config.set_dtype_policy(before)
    assert head.shape == (None, 5)
    assert head.dtype == "float32"


def test_no_classes_is_no_head():
    features = keras.Input((8,))
    assert classification_head(features, 0, None) is features
    with pytest.raises(ValueError, match="classifier_activation='softmax' needs a head"):
        classification_head(features, 0, "softmax")
