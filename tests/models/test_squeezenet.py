"""Options of SqueezeNet, and what its paper says of it."""

import numpy as np
import pytest

import vislearn


@pytest.mark.parametrize(
    ("name", "smallest", "sides"),
    [
        ("squeezenet1_0", 21, {"C1": 61, "C2": 30, "C3": 15, "C4": 7}),
        ("squeezenet1_1", 17, {"C1": 63, "C2": 31, "C3": 15, "C4": 7}),
    ],
)
def test_endpoints_and_smallest_image(name, smallest, sides):
    model = vislearn.create_model(name, input_shape=(127, 127, 3))
    assert {level: model.get_layer(level).output.shape[1] for level in sides} == sides
    model = vislearn.create_model(name, input_shape=(smallest, smallest, 3), num_classes=5)
    assert model.output_shape == (None, 5)
    with pytest.raises(ValueError, match="input_shape"):
        vislearn.create_model(name, input_shape=(smallest - 1, smallest, 3))


def test_fewer_weights_than_alexnet():
    """50 times, as the title says."""
    infos = [vislearn.model_info(name) for name in ("alexnet_2012", "squeezenet1_0")]
    assert infos[0].reference_params / infos[1].reference_params > 48


def test_fire_modules():
    model = vislearn.create_model("squeezenet1_1", input_shape=(32, 32, 3), num_classes=5)
    filters = {
        layer.name: (layer.filters, layer.kernel_size[0])
        for layer in model.layers
        if layer.name.startswith("fire9_") and layer.weights
    }
    assert filters == {
        "fire9_squeeze": (64, 1),
        "fire9_expand1": (256, 1),
        "fire9_expand3": (256, 3),
    }


def test_logits_are_averages_of_a_map_for_each_class():
    model = vislearn.create_model("squeezenet1_1", input_shape=(48, 48, 3), num_classes=5)
    assert model.get_layer("head").output.shape == (None, 2, 2, 5)
    x = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 3)).astype("float32")
    assert np.asarray(model(x)).min() >= 0
    assert [layer.rate for layer in model.layers if layer.name == "dropout"] == [0.5]


def test_features_are_averaged():
    model = vislearn.create_model("squeezenet1_1", input_shape=(32, 32, 3), num_classes=0)
    assert model.output_shape == (None, 512)


@pytest.mark.parametrize("pooled", [(2, 1), (0, 1), (1, 1), (1, 10)])
def test_errors(pooled):
    with pytest.raises(ValueError, match=r"pooled_after=.* must be rising numbers in 1\.\.9"):
        vislearn.create_model("squeezenet1_0", pooled_after=pooled)
