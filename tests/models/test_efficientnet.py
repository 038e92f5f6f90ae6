"""Options of EfficientNets."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.layers import preprocess


def create(name="efficientnet_b0", **options):
    return vislearn.create_model(name, **{**vislearn.model_info(name).tiny, **options})


def shapes(name, **options):
    """A network without values."""
    with keras.StatelessScope(initialize_variables=False):
        model = vislearn.create_model(name, **options)
    keras.utils.clear_session(free_memory=False)
    return model


def test_endpoints():
    model = shapes("efficientnet_b0", input_shape=(96, 64, 3))
    for number, channels in enumerate((16, 24, 40, 112, 1280), start=1):
        level = model.get_layer(f"C{number}").output
        assert level.shape == (None, 96 // 2**number, 64 // 2**number, channels)


def test_blocks_are_dropped_more_the_deeper_they_are():
    """From 0 for the first, of which there is a shortcut; B0 has 16 blocks."""
    model = shapes("efficientnet_b0", input_shape=(32, 32, 3))
    found = {layer.name: layer.rate for layer in model.layers if layer.name.endswith("_drop")}
    assert found["stage2_block2_drop"] == pytest.approx(0.2 * 2 / 16)
    assert found["stage6_block4_drop"] == pytest.approx(0.2 * 14 / 16)
    assert len(found) == 9


def test_scaling():
    """Deeper rounds up, wider rounds to multiples of 8."""
    names = {layer.name for layer in create(depth=1.1).layers}
    assert {"stage1_block2_add", "stage2_block3_add"} <= names
    assert "stage2_block4_add" not in names
    assert create(width=1.1).get_layer("C2").output.shape[-1] == 4 * 24


@pytest.mark.parametrize(
    ("name", "expected"),
    [("efficientnet_b4", (1e-5, 0.9)), ("efficientnet_b5", (1e-3, 0.99))],
)
def test_batch_norm_of_the_published_weights(name, expected):
    model = shapes(name, stages=vislearn.model_info(name).tiny["stages"])
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {expected}


def test_pixels_are_scaled_as_keras_applications_does():
    """Their file has the deviation as variance, so they divide by its root once more."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Normalization(mean=mean, variance=deviation)(x)
    x = keras.layers.Rescaling([1 / root for root in np.sqrt(deviation)])(x)
    ours = preprocess(keras.ops.convert_to_tensor(pixels), "imagenet")
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(value) for value in (ours, x)), atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0 must be positive"),
        ({"depth": -1.0}, r"depth=-1\.0 must be positive"),
        ({"padding": "same"}, "padding='same' must be one of"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
