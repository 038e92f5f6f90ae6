"""Scaling of pixels by constants of one's own data."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.layers import preprocess

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3)).astype("float32")


def scaled(mode):
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, preprocess(inputs, mode))
    again = keras.Model.from_config(model.get_config())
    return keras.ops.convert_to_numpy(again(IMAGES))


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        (100.0, None),
        ([120.0, 110.0, 90.5], None),
        ([120.0, 110.0, 90.5], [60.0, 50.0, 40.0]),
        (IMAGES.mean(axis=0), None),
        (IMAGES.mean(axis=0).tolist(), 64),
    ],
)
def test_own_constants(mean, std):
    mode = {"mean": mean} if std is None else {"mean": mean, "std": std}
    expected = (IMAGES - np.array(mean)) / np.array(1.0 if std is None else std)
    np.testing.assert_allclose(scaled(mode), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ({"mean": [1.0, 2.0]}, r"mean has the shape \(2,\), and images \(6, 5, 3\)"),
        ({"mean": 0, "std": [1.0, 0.0, 1.0]}, "std must be positive"),
        ({"mean": [np.nan] * 3}, "mean must be finite"),
        ({"mean": "grey"}, "mean='grey' must be numbers"),
        ({"means": 1.0}, r"preprocessing holds \['means'\]"),
        ("imagenett", "preprocessing='imagenett' must be None, one of"),
    ],
)
def test_unfit_constants_are_refused(mode, message):
    with pytest.raises(ValueError, match=message):
        scaled(mode)


def test_a_saved_network_keeps_a_mean_image(tmp_path):
    mode = {"mean": IMAGES.mean(axis=0).tolist()}
    model = vislearn.create_model(
        "mlp", input_shape=(6, 5, 3), num_classes=3, units=(4,), preprocessing=mode
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    answers = (keras.ops.convert_to_numpy(one(IMAGES)) for one in (model, again))
    np.testing.assert_array_equal(*answers)
