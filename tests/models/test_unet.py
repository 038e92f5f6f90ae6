"""U-Net: Figure 1 of the paper, the arithmetic in NumPy, and the options."""

import re

import keras
import numpy as np
import pytest

import vislearn


def randomised(model, seed=0):
    """Gives every weight a value of its own, and returns the weights by path in float64."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = rng.normal(size=variable.shape)
        if variable.name == "moving_variance":
            value = np.abs(value) + 0.5
        elif variable.name == "kernel":
            value *= np.sqrt(2 / np.prod(variable.shape[:-1]))
        variable.assign(value.astype("float32"))
    return {v.path: np.asarray(keras.ops.convert_to_numpy(v), "float64") for v in model.weights}


def answer(model, pixels):
    return keras.ops.convert_to_numpy(model(pixels, training=False))


def pixels(*shape):
    return np.random.default_rng(1).uniform(0, 255, shape).astype("float32")


def test_sizes_are_those_of_figure_1():
    with keras.StatelessScope(initialize_variables=False):
        model = vislearn.create_model("unet")
    keras.utils.clear_session(free_memory=False)
    assert model.count_params() == 31_030_658
    sides = {layer.name: layer.output.shape[1] for layer in model.layers}
    assert [sides[f"C{level}"] for level in range(5)] == [568, 280, 136, 64, 28]
    assert [sides[f"up{level}_transposed"] for level in (3, 2, 1, 0)] == [56, 104, 200, 392]
    assert [sides[f"up{level}_relu2"] for level in (3, 2, 1, 0)] == [52, 100, 196, 388]
    channels = [model.get_layer(f"C{level}").output.shape[-1] for level in range(5)]
    assert channels == [64, 128, 256, 512, 1024]
    assert model.output_shape == (None, 388, 388, 2)


def conv(x, w, name, pad):
    """A 3x3 convolution."""
    kernel = w[f"{name}/kernel"]
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows, kernel) + w.get(f"{name}/bias", 0)


def block(x, w, name, pad):
    for index in (1, 2):
        x = conv(x, w, f"{name}_conv{index}", pad)
        if f"{name}_bn{index}/gamma" in w:
            gamma, beta, mean, variance = (
                w[f"{name}_bn{index}/{part}"]
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            x = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        x = np.maximum(x, 0)
    return x


def unet(x, w, depth, padding):
    """The paper's network in NumPy, from scaled pixels."""
    pad = 1 if padding == "same" else 0
    skips = []
    for level in range(depth + 1):
        if level > 0:
            b, h, width, c = x.shape
            x = x.reshape(b, h // 2, 2, width // 2, 2, c).max(axis=(2, 4))
        x = block(x, w, f"down{level}", pad)
        skips.append(x)
    for level in reversed(range(depth)):
        kernel = w[f"up{level}_transposed/kernel"]  # (2, 2, out, in)
        b, h, width, _ = x.shape
        x = np.einsum("bhwc,ijoc->bhiwjo", x, kernel).reshape(b, 2 * h, 2 * width, -1)
        x = x + w[f"up{level}_transposed/bias"]
        margin = (skips[level].shape[1] - x.shape[1]) // 2
        inner = slice(margin, skips[level].shape[1] - margin)
        x = block(np.concatenate([skips[level][:, inner, inner], x], -1), w, f"up{level}", pad)
    return np.einsum("bhwc,co->bhwo", x, w["head/kernel"][0, 0]) + w["head/bias"]


@pytest.mark.parametrize(
    ("side", "depth", "padding", "norm"),
    [
        (92, 3, "valid", None),
        (44, 2, "valid", "batch"),
        (32, 3, "same", None),
        (16, 1, "same", "batch"),
    ],
)
def test_equals_numpy(side, depth, padding, norm):
    model = vislearn.create_model(
        "unet",
        input_shape=(side, side, 3),
        num_classes=4,
        filters=3,
        depth=depth,
        padding=padding,
        norm=norm,
    )
    weights = randomised(model)
    x = pixels(2, side, side, 3)
    found = answer(model, x)
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    expected = unet((x.astype("float64") - mean) / std, weights, depth, padding)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_valid_answers_for_the_centre():
    """Where the padding does not reach, a padded network gives the same answer."""
    models = [
        vislearn.create_model(
            "unet", input_shape=(40, 40, 1), num_classes=2, filters=4, depth=1, padding=padding
        )
        for padding in ("valid", "same")
    ]
    randomised(models[0])
    models[1].set_weights(models[0].get_weights())
    inner, all = (answer(model, pixels(1, 40, 40, 1)) for model in models)
    assert inner.shape == (1, 24, 24, 2)
    np.testing.assert_allclose(all[:, 8:-8, 8:-8], inner, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "reflect"}, r"padding='reflect' must be one of \('valid', 'same'\)"),
        ({"norm": "layer"}, "norm='layer'"),
        ({"filters": 0}, "filters=0 must be a positive integer"),
        ({"depth": 0}, "depth=0 must be a positive integer"),
        ({"input_shape": (570, 572, 1)}, r"input_shape=\(570, 572, 1\).* fit are 556, 572"),
        ({"input_shape": (100, 100, 1)}, "fit are 188"),
        # Can be halved four times, and has nothing left at the top.
        ({"input_shape": (172, 172, 1)}, "leaves nothing of the answer.* at least 188"),
        ({"input_shape": (100, 96, 1), "padding": "same"}, "fit are 96, 112"),
        ({"input_shape": (572, 572)}, r"\(572, 572\) must be \(height, width, channels\)"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        vislearn.create_model("unet", **options)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_smallest_valid_side(depth):
    """The side that the error names is the least that works."""
    options = {"num_classes": 2, "filters": 1, "depth": depth}
    with pytest.raises(ValueError, match="padding='same' takes all multiples") as error:
        vislearn.create_model("unet", input_shape=(8, 8, 1), **options)
    least = int(re.search(r"(\d+); padding=", str(error.value))[1])
    model = vislearn.create_model("unet", input_shape=(least, least, 1), **options)
    assert 0 < model.output_shape[1] <= 2**depth
    smaller = (least - 2**depth,) * 2 + (1,)
    with pytest.raises(ValueError, match="depth"):
        vislearn.create_model("unet", input_shape=smaller, **options)


def test_endpoints_head_and_dropout():
    options = {"input_shape": (32, 48, 3), "filters": 2, "padding": "same", "depth": 3}
    backbone = vislearn.create_backbone("unet", levels=("C0", "C3"), **options)
    shapes = {level: tuple(output.shape) for level, output in backbone.output.items()}
    assert shapes == {"C0": (None, 32, 48, 2), "C3": (None, 4, 6, 16)}
    assert vislearn.create_model("unet", num_classes=0, **options).output_shape == (None, 32, 48, 2)
    softmax = vislearn.create_model("unet", classifier_activation="softmax", **options)
    np.testing.assert_allclose(answer(softmax, pixels(1, 32, 48, 3)).sum(-1), 1, atol=1e-5)
    dropped = vislearn.create_model("unet", drop_rate=0.5, **options)
    x = pixels(1, 32, 48, 3)
    assert np.array_equal(answer(dropped, x), answer(dropped, x))
    assert not np.allclose(dropped(x, training=True), dropped(x, training=True))
