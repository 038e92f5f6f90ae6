"""Options of Xception."""

import keras
import pytest

import vislearn
from vislearn.catalogue import build_shapes
from vislearn.layers import BatchNormalization

SMALL = {"input_shape": (64, 96, 3), "repeats": 1, "width": 0.125}


def create(**options):
    return build_shapes("xception", **{**SMALL, "num_classes": 5, **options})


def test_endpoints():
    levels = ("C1", "C2", "C3", "C4", "C5")
    body = vislearn.create_backbone("xception", levels=levels, **SMALL)
    # 64x96 pixels: 29x45 after two convolutions without padding, then rounded up.
    assert [body.output[level].shape[1:] for level in levels] == [
        (29, 45, 8),
        (15, 23, 16),
        (8, 12, 32),
        (4, 6, 91),
        (2, 3, 256),
    ]


def test_36_layers_of_which_34_are_separable():
    """Section 3: 36 convolutional layers in 14 modules, less the shortcuts and the first two."""
    model = create(repeats=8)
    kind = keras.layers.SeparableConv2D
    separable = [layer for layer in model.layers if isinstance(layer, kind)]
    assert len(separable) == 34
    assert not any(layer.use_bias for layer in separable)
    assert len([layer for layer in model.layers if layer.name.endswith("_add")]) == 12


def test_batch_norm():
    found = [layer for layer in create().layers if isinstance(layer, BatchNormalization)]
    assert {(layer.epsilon, layer.momentum) for layer in found} == {(1e-3, 0.9)}


def test_options():
    names = [layer.name for layer in create(repeats=0).layers]
    assert not [name for name in names if name.startswith("middle")]
    assert create(dropout=0.5).get_layer("dropout").rate == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": -1}, "repeats=-1 must be"),
        ({"width": -1.0}, r"width=-1\.0 must be positive"),
        ({"dropout": 1.0}, r"dropout=1\.0 must be"),
        ({"input_shape": (4, 32, 3)}, r"input_shape=\(4, 32, 3\)"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
