"""Adaptive instance normalisation and noise against NumPy."""

import numpy as np
import pytest
from keras import ops

from vislearn.layers import AdaptiveInstanceNormalization, NoiseInjection

rng = np.random.default_rng(0)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_style_sets_scale_and_shift():
    x = rng.normal(3, 2, (2, 5, 6, 4)).astype("float32")
    style = rng.normal(size=(2, 7)).astype("float32")
    layer = AdaptiveInstanceNormalization(epsilon=1e-3)
    layer.build([x.shape, style.shape])
    kernel, bias = rng.normal(size=(7, 8)), rng.normal(size=8)
    layer.set_weights([kernel, bias])
    scale, shift = np.split((style @ kernel + bias)[:, None, None], 2, axis=-1)
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    expected = (1 + scale) * (x - mean) / np.sqrt(variance + 1e-3) + shift
    np.testing.assert_allclose(numpy(layer([x, style])), expected, atol=1e-4)


def test_statistics_are_of_float32_under_mixed_precision():
    """The deviation of 1000 +- 1 is lost in bfloat16, whose neighbours there are 4 apart."""
    x = np.full((1, 64, 64, 1), 1000.0, "float32")
    x[:, ::2] += 8.0
    layer = AdaptiveInstanceNormalization(dtype="mixed_bfloat16")
    y = numpy(ops.cast(layer([x, np.zeros((1, 2), "float32")]), "float32"))
    assert y.mean() == pytest.approx(0, abs=0.02) and y.std() == pytest.approx(1, abs=0.02)


def test_noise_is_one_image_for_all_channels():
    layer = NoiseInjection(seed=0)
    x = np.zeros((2, 8, 8, 3), "float32")
    assert not numpy(layer(x)).any()  # Nothing, to begin with.
    gain = np.array([1.0, -2.0, 0.5], "float32")
    layer.set_weights([gain])
    y = numpy(layer(x))
    np.testing.assert_allclose(y, y[..., :1] * gain, rtol=1e-5)
    assert not np.array_equal(y, numpy(layer(x)))
    noise = rng.normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(numpy(layer([x, noise])), noise * gain, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaptiveInstanceNormalization(epsilon=0), "epsilon=0"),
        (
            lambda: AdaptiveInstanceNormalization()([np.ones((1, 4, 4)), np.ones((1, 2))]),
            r"\(1, 4, 4\)",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
