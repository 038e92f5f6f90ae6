"""Convolution with standardised kernels, and the factor of a branch."""

import keras
import numpy as np
import pytest

from vislearn.layers import LayerScale, ScaledStandardizedConv2D, SkipInit


@pytest.mark.parametrize("groups", [1, 2])
def test_kernel_equals_the_equation(groups):
    layer = ScaledStandardizedConv2D(6, 3, groups=groups)
    layer.build((None, 8, 8, 4))
    rng = np.random.default_rng(0)
    kernel = rng.normal(2, 3, layer.kernel.shape).astype("float32")
    gain = rng.normal(1, 0.2, 6).astype("float32")
    layer.set_weights([kernel, np.zeros(6), gain])
    found = keras.ops.convert_to_numpy(layer.standardized(layer.kernel))
    for unit in range(6):
        own = kernel[..., unit]
        own = (own - own.mean()) / np.sqrt((own.var() + 1e-5) * own.size)
        np.testing.assert_allclose(found[..., unit], gain[unit] * own, atol=1e-5)


def test_keeps_mean_and_variance_of_noise():
    """With kernels of mean 0 and variance 1 / fan-in, noise keeps its variance."""
    layer = ScaledStandardizedConv2D(64, 3, kernel_initializer="lecun_normal")
    noise = np.random.default_rng(0).normal(5, 1, (8, 32, 32, 16)).astype("float32")
    found = keras.ops.convert_to_numpy(layer(noise))
    assert np.abs(found.mean()) < 0.05
    assert found.var() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    "layer",
    [
        ScaledStandardizedConv2D(6, 3, strides=2, epsilon=1e-3, padding="same", name="conv"),
        SkipInit(0.5, name="skip"),
        LayerScale(0.1, name="scale"),
    ],
    ids=lambda layer: layer.name,
)
def test_saved_with_all_weights(layer, tmp_path):
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, layer(inputs))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_config() == layer.get_config()
    x = rng.normal(size=(2, 8, 8, 4)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(x))
    assert expected.shape == (2, *layer.compute_output_shape((2, 8, 8, 4))[1:])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded(x)), expected)


def test_factors():
    x = np.arange(6, dtype="float32").reshape(2, 3)
    layer = SkipInit(0.5)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x)), 0)
    layer.set_weights([np.float32(3)])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), 1.5 * x)
    layer = LayerScale(0.1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), 0.1 * x, rtol=1e-6)
    layer.set_weights([np.array([1, 2, 3], "float32")])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), [1, 2, 3] * x, rtol=1e-6)
