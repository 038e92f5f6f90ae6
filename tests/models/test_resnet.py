"""Residual networks: keras.applications with copied weights, and the options."""

import keras
import numpy as np
import pytest

import vislearn

SIDE = 64  # Small, so that the comparison takes seconds; weights don't depend on it.


def theirs_to_ours(name: str) -> str:
    """`conv3_block2_1_conv` -> `stage2_block2_conv1`; their shortcut has the number 0."""
    if name.startswith("conv1_"):
        return name.replace("conv1", "stem")
    stage, block, index, kind = name.split("_")
    part = f"shortcut_{kind}" if index == "0" else f"{kind}{index}"
    return f"stage{int(stage[4:]) - 1}_{block}_{part}"


def test_resnet50_equals_keras_applications():
    """Their convolutions have a bias before batch norm and their epsilon is 1.001e-5.

    Both are moved into our batch norm: the bias into the moving mean, the rest of epsilon into
    the moving variance.
    """
    theirs = keras.applications.ResNet50(
        weights=None, input_shape=(SIDE, SIDE, 3), classes=7, classifier_activation=None
    )
    ours = vislearn.create_model(
        "resnet50",
        input_shape=(SIDE, SIDE, 3),
        num_classes=7,
        preprocessing=None,
        stride_in_1x1=True,
    )
    rng = np.random.default_rng(0)
    copied = {"preprocess"}
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            bias = rng.normal(size=layer.bias.shape)
            layer.set_weights([kernel, bias])
            ours.get_layer(theirs_to_ours(layer.name)).set_weights([kernel])
            copied.add(theirs_to_ours(layer.name))
        elif isinstance(layer, keras.layers.BatchNormalization):
            # Gains that keep the signal near 1 through sixteen additions.
            gamma, beta, mean = (rng.normal(m, 0.2, layer.gamma.shape) for m in (0.5, 0, 0))
            variance = rng.uniform(0.5, 1.5, layer.gamma.shape)
            layer.set_weights([gamma, beta, mean, variance])
            conv = theirs.get_layer(layer.name.replace("_bn", "_conv"))
            bias = keras.ops.convert_to_numpy(conv.bias)
            ours.get_layer(theirs_to_ours(layer.name)).set_weights(
                [gamma, beta, mean - bias, variance + layer.epsilon - 1e-5]
            )
            copied.add(theirs_to_ours(layer.name))
    ours.get_layer("head").set_weights(theirs.get_layer("predictions").get_weights())
    copied.add("head")
    assert {layer.name for layer in ours.layers if layer.weights} <= copied, "a layer was left out"

    pixels = rng.normal(size=(2, SIDE, SIDE, 3)).astype("float32")
    found = keras.ops.convert_to_numpy(ours(pixels, training=False))
    expected = keras.ops.convert_to_numpy(theirs(pixels, training=False))
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"block": "botleneck"}, "block='botleneck'"),
        ("resnet18", {"widen": 2}, "widen=2"),
        ("resnet18", {"stride_in_1x1": True}, "stride_in_1x1=True"),
        ("resnet18", {"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
        ("resnet20_cifar", {"depth": 21}, "depth=21"),
        ("plain20_cifar", {"drop_path_rate": 0.1}, r"drop_path_rate=0\.1"),
    ],
)
def test_errors(name, options, message):
    with pytest.raises(ValueError, match=message):
        vislearn.create_model(name, input_shape=(32, 32, 3), **options)


def test_endpoints():
    model = vislearn.create_model("resnet18", input_shape=(64, 64, 3), width=4)
    sides = [model.get_layer(f"C{level}").output.shape[1] for level in (2, 3, 4, 5)]
    assert sides == [16, 8, 4, 2]


def test_stochastic_depth_rates_rise():
    model = vislearn.create_model("resnet20_cifar", depth=14, drop_path_rate=0.6)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_plain_has_the_weights_of_its_residual_counterpart():
    counts = [
        vislearn.create_model(name, depth=14).count_params()
        for name in ("plain20_cifar", "resnet20_cifar")
    ]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20_cifar"])
def test_epsilon_of_the_published_weights(name):
    """Too small for the parity with NumPy to notice, on activations of order 1."""
    model = vislearn.create_model(name, **vislearn.model_info(name).tiny)
    found = {
        layer.epsilon
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert found == {1e-5}
