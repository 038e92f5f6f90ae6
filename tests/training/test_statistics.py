"""Statistics of signal and gradient by layer, and what initialisers do to them."""

import keras
import numpy as np
import pytest

from vislearn.initializers import INITIALIZERS, standard_deviation
from vislearn.losses import ClassificationLoss
from vislearn.models.classification.convnet import cifar_cnn
from vislearn.models.classification.mlp import mlp
from vislearn.training.statistics import activation_statistics, gradient_statistics

rng = np.random.default_rng(0)
DEPTH = 12


def deep(activation, initializer, units=128):
    keras.utils.set_random_seed(0)
    return mlp(
        input_shape=(8, 8, 1),
        num_classes=4,
        units=(units,) * DEPTH,
        activation=activation,
        kernel_initializer=initializer,
        preprocessing=None,
    )


def images(count=64):
    return rng.normal(size=(count, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initialisers_draw_what_the_table_says(name):
    weights = keras.initializers.get({"class_name": name, "config": {"seed": 0}})((300, 500))
    found = keras.ops.convert_to_numpy(weights)
    expected = standard_deviation(name, 300, 500)
    assert found.std() == pytest.approx(expected, rel=0.01)
    if name.endswith("uniform"):
        assert np.abs(found).max() == pytest.approx(expected * 3**0.5, rel=0.01)
    assert abs(found.mean()) < 0.01 * expected


def test_wrong_initialiser():
    with pytest.raises(ValueError, match="initializer='zeros' must be one of"):
        standard_deviation("zeros", 1, 1)


def test_figures_are_those_of_the_layers():
    model, x = deep("relu", "he_normal", units=6), images(8)
    found = activation_statistics(model, x, "dense*")
    assert [layer.name for layer in found] == [f"dense{i}" for i in range(1, DEPTH + 1)]
    dense = model.get_layer("dense1")
    kernel, bias = dense.get_weights()
    y = np.maximum(x.reshape(8, 64) @ kernel + bias, 0)
    assert found[0].mean == pytest.approx(y.mean(), rel=1e-5)
    assert found[0].deviation == pytest.approx(y.std(), rel=1e-5)
    assert found[0].zeros == np.mean(y == 0)


def test_he_keeps_what_glorot_loses_behind_relu():
    """With Glorot each ReLU halves the mean square; with He it stays (He et al., section 2.2)."""
    x = images()
    last = {}
    for name in ("he_normal", "glorot_normal"):
        first, *_, end = activation_statistics(deep("relu", name), x, "dense*")
        last[name] = (end.mean**2 + end.deviation**2) / (first.mean**2 + first.deviation**2)
    assert 0.3 < last["he_normal"] < 3
    assert last["glorot_normal"] == pytest.approx(0.5 ** (DEPTH - 1) * last["he_normal"], rel=0.01)


def test_gradients_vanish_behind_sigmoids_and_not_behind_relu():
    x, labels = images(), rng.integers(0, 4, 64)
    ratio = {}
    for activation, initializer in (("sigmoid", "glorot_normal"), ("relu", "he_normal")):
        model = deep(activation, initializer)
        found = gradient_statistics(model, x, labels, ClassificationLoss(), "dense*")
        assert len(found) == DEPTH
        ratio[activation] = found[1].deviation / found[-1].deviation
    assert ratio["sigmoid"] < 1e-5 < 0.1 < ratio["relu"]


def test_gradient_of_the_last_layer_by_hand():
    model, x = deep("tanh", "glorot_normal", units=6), images(16)
    labels = rng.integers(0, 4, 16)
    (found,) = gradient_statistics(model, x, labels, ClassificationLoss(), "head")
    body = keras.Model(model.input, model.get_layer("head").input)
    h = keras.ops.convert_to_numpy(body(x)).astype(float)
    p = keras.ops.convert_to_numpy(keras.ops.softmax(model(x))).astype(float)
    slope = h.T @ (p - np.eye(4)[labels]) / 16
    assert found.deviation == pytest.approx(slope.std(), rel=1e-4)
    assert found.mean == pytest.approx(slope.mean(), abs=1e-7)


def test_convolutions_have_them_too():
    model = cifar_cnn(input_shape=(8, 8, 3), num_classes=2, filters=(3, 4), units=5)
    x = rng.uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    assert [layer.name for layer in activation_statistics(model, x, "conv*")] == ["conv1", "conv2"]
    labels = np.array([0, 1])
    found = gradient_statistics(model, x, labels, ClassificationLoss())
    assert [layer.name for layer in found] == ["conv1", "conv2", "dense1", "head"]


def test_wrong_layers():
    model = deep("relu", "he_normal", units=2)
    with pytest.raises(ValueError, match=r"layers='conv\*': mlp has none"):
        activation_statistics(model, images(1), "conv*")
    with pytest.raises(ValueError, match="layers='flatten': mlp has no such layer with a kernel"):
        gradient_statistics(model, images(1), np.zeros(1), ClassificationLoss(), "flatten")
