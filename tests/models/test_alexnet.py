"""Options of AlexNet, and what its paper says of it."""

import numpy as np
import pytest
from keras import layers

import vislearn
from vislearn.layers import LocalResponseNormalization
from vislearn.multiply_adds import count_multiply_adds

SMALL = {"filters": (8, 16, 16, 16, 8), "units": (16, 16), "num_classes": 5}


def create(name="alexnet", **options):
    return vislearn.create_model(name, **{"input_shape": (72, 96, 3), **SMALL, **options})


def kinds(model, kind):
    return [layer.name for layer in model.layers if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("name", "side", "sides"),
    [("alexnet", 224, (55, 27, 13, 6)), ("alexnet_2012", 227, (55, 27, 13, 6))],
)
def test_feature_maps_of_the_published_input(name, side, sides):
    model = vislearn.create_backbone(
        name,
        input_shape=(side, side, 3),
        levels=("C2", "C3", "C4", "C5"),
        filters=SMALL["filters"],
        units=SMALL["units"],
    )
    found = {level: output.shape[1:] for level, output in model.output.items()}
    channels = (8, 16, 8, 8)
    assert found == {
        f"C{level}": (size, size, filters)
        for level, size, filters in zip((2, 3, 4, 5), sides, channels, strict=True)
    }


def test_any_image_of_63_pixels_will_do():
    assert create(input_shape=(63, 63, 3)).output_shape == (None, 5)
    with pytest.raises(ValueError, match=r"input_shape=\(62, 63, 3\)"):
        create(input_shape=(62, 63, 3))


def test_the_edition_of_2012():
    model = create("alexnet_2012", input_shape=(67, 67, 3))
    groups = {
        layer.name: layer.groups for layer in model.layers if isinstance(layer, layers.Conv2D)
    }
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}
    assert kinds(model, LocalResponseNormalization) == ["norm1", "norm2"]
    biases = {
        layer.name: set(np.asarray(layer.bias).tolist()) for layer in model.layers if layer.weights
    }
    open_ = ("conv2", "conv4", "conv5", "dense1", "dense2")
    assert biases == {name: {1.0 if name in open_ else 0.0} for name in biases}
    kernel = np.asarray(model.get_layer("conv3").kernel)
    assert kernel.std() == pytest.approx(0.01, rel=0.1)


def test_groups_halve_the_multiply_adds():
    one, two = (create(groups=groups) for groups in (1, 2))
    for name in ("conv2", "conv4", "conv5"):
        sizes = [model.get_layer(name).kernel.shape for model in (one, two)]
        assert sizes[0][2] == 2 * sizes[1][2]
    assert count_multiply_adds(two) < count_multiply_adds(one)


def test_where_units_are_dropped():
    def order(model):
        names = [layer.name for layer in model.layers]
        return [name for name in names if name.startswith(("dense", "dropout"))]

    assert order(create()) == ["dropout1", "dense1", "dropout2", "dense2"]
    assert order(create(edition=2012)) == ["dense1", "dropout1", "dense2", "dropout2"]


def test_torch_initialisation():
    """Uniform within one over the root of the inputs, the biases too."""
    layer = create().get_layer("conv3")
    limit = (9 * 16) ** -0.5
    for values in (np.asarray(layer.kernel), np.asarray(layer.bias)):
        assert 0.7 * limit < np.abs(values).max() <= limit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": (8, 8)}, r"filters=\(8, 8\) must be 5 numbers"),
        ({"units": (8,)}, r"units=\(8,\) must be 2 numbers"),
        ({"groups": 3}, "groups=3 must divide filters"),
        ({"edition": 2013}, "edition=2013 must be 2012 or 2014"),
        ({"grid": 0}, "grid=0 must be at least 1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
