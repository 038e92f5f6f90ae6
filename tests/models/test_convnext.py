"""Options of ConvNeXt."""

import keras
import numpy as np
import pytest
from keras import layers

import vislearn

SMALL = {"input_shape": (64, 32, 3), "repeats": (1, 1, 2, 1), "filters": (4, 6, 8, 10)}


def create(**options):
    return vislearn.create_model("convnext_tiny", **{**SMALL, "num_classes": 5, **options})


def test_stages():
    model = vislearn.create_backbone("convnext_tiny", levels=("C2", "C3", "C4", "C5"), **SMALL)
    assert {level: tensor.shape[1:] for level, tensor in model.output.items()} == {
        "C2": (16, 8, 4),
        "C3": (8, 4, 6),
        "C4": (4, 2, 8),
        "C5": (2, 1, 10),
    }


def test_starts_near_the_identity():
    """A block adds to its input what the factor of 1e-6 leaves of its branch."""
    model = create(drop_path_rate=0.0)
    both = keras.Model(
        model.input, [model.get_layer(name).output for name in ("stem_norm", "stage1_block1_add")]
    )
    before, after = both(np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)))
    assert 0 < np.abs(np.asarray(after) - np.asarray(before)).max() < 1e-4


def test_layer_scale():
    scales = [layer for layer in create(layer_scale=0.5).layers if hasattr(layer, "init_value")]
    assert len(scales) == sum(SMALL["repeats"])
    for scale in scales:
        np.testing.assert_array_equal(np.asarray(scale.gamma), 0.5)


def test_one_activation_and_one_norm_a_block():
    """Section 2.6 of the paper."""
    model = create()
    block = [layer for layer in model.layers if layer.name.startswith("stage3_block1_")]
    kinds = [type(layer) for layer in block]
    assert kinds.count(layers.Activation) == kinds.count(layers.LayerNormalization) == 1
    (activation,) = [layer.activation for layer in block if isinstance(layer, layers.Activation)]
    value = float(activation(np.float32(1)))
    assert value == pytest.approx(0.8413447, abs=1e-6), "GELU itself, not its approximation"


def test_epsilon_of_the_published_weights():
    norms = [layer for layer in create().layers if isinstance(layer, layers.LayerNormalization)]
    assert [norm.epsilon for norm in norms] == [1e-6] * (1 + 3 + 5 + 1)


def test_stochastic_depth_rises():
    found = [layer.rate for layer in create(drop_path_rate=0.5).layers if "drop" in layer.name]
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    rates = {
        name: vislearn.model_info(name).variant["drop_path_rate"]
        for name in vislearn.list_models(family="convnext")
    }
    assert rates == {"convnext_tiny": 0.1, "convnext_small": 0.4, "convnext_base": 0.5}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": (1, 1)}, r"repeats=\(1, 1\) and filters=\(4, 6, 8, 10\)"),
        ({"repeats": (), "filters": ()}, r"repeats=\(\)"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
