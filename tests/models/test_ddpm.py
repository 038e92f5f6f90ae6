"""The U-Net of diffusion models: what the ladder, which writes it out in NumPy, does not ask."""

import numpy as np
import pytest
from keras import ops

from vislearn.models.generative.diffusion import TINY, ddpm


def randomised(**options):
    """A network whose every weight has a value of its own."""
    model = ddpm(**options)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        fan_in = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 4
        variable.assign(rng.normal(size=variable.shape) / np.sqrt(fan_in))
    return model


def inputs(count=3, side=8):
    rng = np.random.default_rng(1)
    return {
        "image": rng.normal(size=(count, side, side, 1)).astype("float32"),
        "time": np.array([1.0, 500.0, 1000.0], "float32")[:count],
    }


def test_a_new_network_predicts_no_noise():
    model = ddpm(**{**TINY, "num_classes": 0})
    assert not model.predict_on_batch(inputs()).any()


def test_far_corners_see_each_other():
    model = randomised(**{**TINY, "num_classes": 0})
    batch = inputs(1)
    before = model.predict_on_batch(batch)
    batch["image"][0, 0, 0] += 1
    assert np.abs(model.predict_on_batch(batch) - before)[0, -1, -1].max() > 1e-5


def test_works_at_28_pixels_and_is_float32_in_bfloat16():
    from vislearn.backend import BFLOAT16, precision

    options = {"multipliers": (1, 2, 2), "attention": (7,), "filters": 8, "groups": 4, "blocks": 1}
    with precision(BFLOAT16):
        model = ddpm(input_shape=(28, 28, 1), num_classes=0, **options)
    assert model.output_shape == (None, 28, 28, 1)
    found = model.predict_on_batch(inputs(2, 28))
    assert found.dtype == np.float32
    # The times enter in float32: bfloat16 could not tell 999 from 1000.
    sines = model.get_layer("time_sinusoids")(np.array([999.0, 1000.0], "float32"))
    sines = ops.convert_to_numpy(ops.cast(sines, "float32"))
    assert np.any(sines[0] != sines[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classifier_activation": "softmax"}, "classifier_activation='softmax' must be None"),
        ({"preprocessing": "unit"}, "preprocessing='unit' must be None"),
        ({"input_shape": (9, 8, 1)}, "2 multipliers need sides that are multiples of 2"),
        ({"multipliers": ()}, r"multipliers=\(\)"),
        ({"attention": (16,)}, r"attention=\(16,\): no level has height \[16\], but \[8, 4\]"),
        ({"groups": 3}, r"groups=3 must divide .* \[8, 16\]"),
        ({"num_heads": 3}, "num_heads=3"),
        ({"filters": 7}, "filters=7"),
        ({"blocks": 0}, "blocks=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_refuses_what_can_not_be_built(options, message):
    with pytest.raises(ValueError, match=message):
        ddpm(**{**TINY, "num_classes": 0, **options})
