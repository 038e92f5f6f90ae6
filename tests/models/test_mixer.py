"""Options of MLP-Mixer and gMLP."""

import keras
import numpy as np
import pytest
from keras import layers

import vislearn

SIZES = {
    "mixer_s16": {"dim": 8, "depth": 2, "tokens_units": 5, "channels_units": 12},
    "gmlp_s16": {"dim": 8, "depth": 2, "units": 12},
}
NAMES = pytest.mark.parametrize("name", SIZES)


def create(name, **options):
    shape = {"input_shape": (32, 48, 3), "num_classes": 5}
    return vislearn.create_model(name, **{**shape, **SIZES[name], **options})


@NAMES
def test_endpoints_hold_one_token_a_patch(name):
    model = create(name)
    for block in (1, 2):
        assert model.get_layer(f"block{block}_out").output.shape == (None, 2 * 3, 8)


@NAMES
def test_features_are_the_mean_of_the_tokens(name):
    model = create(name, num_classes=0)
    both = keras.Model(model.input, [model.output, model.get_layer("norm").output])
    features, tokens = both(np.random.default_rng(0).uniform(0, 255, (2, 32, 48, 3)))
    np.testing.assert_allclose(np.asarray(features), np.asarray(tokens).mean(axis=1), atol=1e-6)


def test_tokens_of_a_mixer_meet():
    """A patch that changes changes all tokens of the first block."""
    model = create("mixer_s16")
    block = keras.Model(model.input, model.get_layer("block1_out").output)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 48, 3)).astype("float32")
    other = pixels.copy()
    other[:, :16, :16] = 0
    moved = np.abs(np.asarray(block(pixels)) - np.asarray(block(other))).max(axis=-1)
    assert (moved > 1e-6).all()


def test_gate_starts_open():
    """Near-zero weights and a bias of one: the gate passes the first half as it is."""
    model = create("gmlp_s16")
    ends = [model.get_layer(f"block1_{part}").output for part in ("gelu", "gate_multiply")]
    before, after = keras.Model(model.input, ends)(np.full((1, 32, 48, 3), 200.0, "float32"))
    assert after.shape == (1, 6, 6)
    np.testing.assert_allclose(np.asarray(after), np.asarray(before)[..., :6], atol=1e-4)


def test_epsilons_of_the_published_weights():
    def epsilons(name):
        found = create(name).layers
        return [layer.epsilon for layer in found if isinstance(layer, layers.LayerNormalization)]

    assert epsilons("mixer_s16") == [1e-6] * 5
    assert epsilons("gmlp_s16") == [1e-6, 1e-5, 1e-6, 1e-5, 1e-6]


@NAMES
def test_stochastic_depth_rises(name):
    layers_ = create(name, drop_path_rate=0.2).layers
    found = {layer.rate for layer in layers_ if "drop" in layer.name}
    assert found == {0.1, 0.2}


@NAMES
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 15}, r"patch_size=15 must divide the image's sides, \(32, 48\)"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(name, options, message):
    with pytest.raises(ValueError, match=message):
        create(name, **options)


@pytest.mark.parametrize("units", [0, 5])
def test_half_of_the_units_gates_the_other(units):
    with pytest.raises(ValueError, match=f"units={units}"):
        create("gmlp_s16", units=units)
