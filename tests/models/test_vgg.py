"""Options of VGG networks."""

import numpy as np
import pytest
from keras import layers

import vislearn

SMALL = {"input_shape": (64, 96, 3), "width": 8, "units": 16, "num_classes": 5}


def create(name="vgg16", **options):
    return vislearn.create_model(name, **{**SMALL, **options})


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_the_name_counts_the_layers_with_weights(depth):
    model = create(f"vgg{depth}")
    assert len([layer for layer in model.layers if layer.weights]) == depth


def test_endpoints():
    levels = ("C0", "C1", "C2", "C3", "C4", "C5")
    model = vislearn.create_backbone("vgg11", levels=levels, input_shape=(64, 96, 3), width=8)
    channels = (8, 16, 32, 64, 64, 64)
    assert {level: output.shape[1:] for level, output in model.output.items()} == {
        f"C{level}": (64 >> level, 96 >> level, count) for level, count in enumerate(channels)
    }


def test_endpoints_stand_before_the_pooling_of_their_stage():
    model = create()
    assert model.get_layer("C4").input is model.get_layer("stage5_relu3").output
    assert model.get_layer("C5").input is model.get_layer("stage5_pool").output


def test_any_image_of_32_pixels_has_the_same_weights():
    shapes = [
        [tuple(weight.shape) for weight in create(input_shape=shape).weights]
        for shape in ((32, 32, 3), (250, 33, 3))
    ]
    assert shapes[0] == shapes[1]
    with pytest.raises(ValueError, match=r"input_shape=\(31, 32, 3\)"):
        create(input_shape=(31, 32, 3))


def test_nothing_is_pooled_at_the_published_size():
    names = [layer.name for layer in create(input_shape=(224, 224, 3)).layers]
    assert "grid" not in names
    assert "grid" in [layer.name for layer in create().layers]


def test_batch_norm_of_the_published_weights():
    """Its epsilon is too small for parity to notice."""
    model = create("vgg11_bn")
    found = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert len(found) == 8
    assert {(layer.epsilon, layer.momentum) for layer in found} == {(1e-5, 0.9)}
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert all(layer.use_bias for layer in convolutions)
    order = [layer.name for layer in model.layers if layer.name.startswith("stage1")]
    assert order == ["stage1_conv1", "stage1_bn1", "stage1_relu1", "stage1_pool"]


def test_initialisation():
    model = create(width=32, units=64)
    kernel = np.asarray(model.get_layer("stage4_conv1").kernel)
    assert kernel.std() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.02)
    assert np.asarray(model.get_layer("dense1").kernel).std() == pytest.approx(0.01, rel=0.02)


def test_features_are_those_of_the_last_hidden_layer():
    model = create(num_classes=0, dropout=0.2)
    assert model.output_shape == (None, 16)
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    assert rates == [0.2, 0.2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": (1, 1)}, r"repeats=\(1, 1\) must be five numbers"),
        ({"repeats": (1, 1, 0, 1, 1)}, "repeats="),
        ({"grid": 0}, "grid=0 must be at least 1"),
        ({"dropout": 2.0}, "2.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
