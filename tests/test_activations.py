"""Activation functions and their slopes against formulas, and networks that use them."""

import keras
import numpy as np
import pytest

from vislearn import activations, pictures
from vislearn.activations import FUNCTIONS, value_and_slope
from vislearn.models.classification.mlp import mlp

X = np.concatenate([np.linspace(-4, 4, 33) + 1e-3, [-1e4, 1e4]])


def sigmoid(x):
    return np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x)))


def below(x, one, other):
    return np.where(x < 0, one, other)


# Value and slope, as the table of the module has them.
FORMULAS = {
    "identity": (lambda x: x, lambda x: np.ones_like(x)),
    "binary_step": (lambda x: below(x, 0, 1), lambda x: np.zeros_like(x)),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "arctan": (np.arctan, lambda x: 1 / (1 + x**2)),
    "relu": (lambda x: np.maximum(0, x), lambda x: below(x, 0, 1)),
    "leaky_relu": (lambda x: below(x, 0.2 * x, x), lambda x: below(x, 0.2, 1)),
    "elu": (lambda x: below(x, np.expm1(np.minimum(x, 0)), x), lambda x: np.exp(np.minimum(x, 0))),
    "softplus": (lambda x: np.logaddexp(0, x), sigmoid),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_slope(name):
    x = X.astype("float32").astype(float)
    value, slope = value_and_slope(activations.get(name), x)
    for found, formula in ((value, FORMULAS[name][0]), (slope, FORMULAS[name][1])):
        np.testing.assert_allclose(found, formula(x), rtol=1e-5, atol=2e-6)


def test_at_zero():
    values = {name: value_and_slope(FUNCTIONS[name], np.zeros(1)) for name in FORMULAS}
    assert values["binary_step"][0] == 1
    assert all(np.all(np.isfinite(pair)) for pair in values.values())


def test_softmax_and_prelu():
    x = np.array([[1.0, 2.0, 4.0], [1e4, -1e4, 0.0]], "float32")
    shifted = np.exp(x.astype(float) - x.max(axis=-1, keepdims=True))
    expected = shifted / shifted.sum(axis=-1, keepdims=True)
    found = keras.ops.convert_to_numpy(activations.get("softmax")(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    layer = activations.LAYERS["prelu"](alpha_initializer=keras.initializers.Constant(0.4))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(-x)), np.where(x > 0, -0.4 * x, -x))


def test_every_function_has_a_formula():
    assert {*FORMULAS, "softmax"} == {*FUNCTIONS}


@pytest.mark.parametrize("name", ["arctan", "binary_step", "gelu"])
def test_networks_take_them_and_are_saved(name, tmp_path):
    model = mlp(input_shape=(4, 4, 1), num_classes=3, units=(5,), activation=name)
    images = np.random.default_rng(0).uniform(0, 255, (3, 4, 4, 1)).astype("float32")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    expected = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(images)), expected)
    assert again.get_layer("dense1").activation is activations.get(name)


def test_those_with_weights_are_layers():
    with pytest.raises(ValueError, match="activation='prelu' has weights: use the layer PReLU"):
        activations.get("prelu")
    with pytest.raises(ValueError, match="activation function identifier: wave"):
        activations.get("wave")


def test_picture():
    x = np.linspace(-1, 1, 5)
    figure = pictures.function_grid({"a line": (x, x, 0 * x + 1), "parabola": (x, x**2, 2 * x)})
    assert [axes.get_title("left") for axes in figure.axes[:2]] == ["a line", "parabola"]
    np.testing.assert_array_equal(figure.axes[1].get_lines()[3].get_ydata(), x**2)
    with pytest.raises(ValueError, match="functions is empty"):
        pictures.function_grid({})
