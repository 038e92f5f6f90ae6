"""Options of vision transformers."""

import keras
import numpy as np
import pytest

import vislearn

SMALL = {"input_shape": (32, 48, 3), "patch_size": 16, "dim": 8, "depth": 2, "num_heads": 2}


def create(**options):
    return vislearn.create_model("vit_tiny_patch16", **{**SMALL, **options})


def test_endpoints_hold_the_class_token_and_one_token_a_patch():
    model = create()
    for block in (1, 2):
        assert model.get_layer(f"block{block}_out").output.shape == (None, 1 + 2 * 3, 8)


def test_features_are_the_class_token_alone():
    model = create(num_classes=0)
    both = keras.Model(model.input, [model.output, model.get_layer("norm").output])
    features, tokens = both(np.full((1, 32, 48, 3), 100.0, "float32"))
    np.testing.assert_array_equal(np.asarray(features), np.asarray(tokens)[:, 0])


def test_position_matters():
    """The same patches in another order give another answer, and only through the positions."""
    model = create()
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 48, 3)).astype("float32")
    turned = np.roll(pixels, 16, axis=2)  # Whole patches move.
    answers = [np.asarray(model(image)) for image in (pixels, turned)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-6
    positions = model.get_layer("position_embedding")
    positions.set_weights([np.zeros(positions.positions.shape)])
    answers = [np.asarray(model(image)) for image in (pixels, turned)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


def test_regularisation():
    model = create(dropout=0.1, drop_path_rate=0.2)
    found = {layer.name: layer.rate for layer in model.layers if hasattr(layer, "rate")}
    assert found == {
        "dropout": 0.1,
        **{
            f"block{block}_{part}": 0.1
            for block in (1, 2)
            for part in ("attention_dropout", "mlp_dropout", "mlp_dropout1")
        },
        **{
            f"block{block}_{part}_drop": rate
            for block, rate in ((1, 0.1), (2, 0.2))
            for part in ("attention", "mlp")
        },
    }


def test_names_that_recipes_do_not_decay():
    """The class token and the positions are no kernels."""
    found = {variable.name for variable in create().trainable_variables}
    assert found == {"kernel", "bias", "gamma", "beta", "class_token", "position_embedding"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "num_heads=3 must divide dim=8"),
        ({"num_heads": 0}, "num_heads=0"),
        ({"patch_size": 15}, r"patch_size=15 must divide the image's sides, \(32, 48\)"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)


def test_epsilon_of_the_published_weights():
    """Too small for the parity with NumPy to notice, on activations of order 1."""
    found = [layer.epsilon for layer in create().layers if "norm" in layer.name]
    assert found == [1e-6] * 5
