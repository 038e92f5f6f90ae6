"""Pooling that rounds up, pooling to a grid, and local response normalisation against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.layers import (
    GridPooling2D,
    LocalResponseNormalization,
    ceil_max_pool,
    pool_to_grid,
)

rng = np.random.default_rng(0)


@pytest.mark.parametrize("sides", [(7, 8), (8, 7), (2, 3), (109, 54)])
def test_last_window_may_reach_over_the_border(sides):
    inputs = keras.Input((*sides, 2))
    model = keras.Model(inputs, ceil_max_pool(inputs, name="pool"))
    x = rng.uniform(0, 1, (1, *sides, 2)).astype("float32")
    rows, columns = (-(-(side - 3) // 2) + 1 for side in sides)
    expected = np.array(
        [
            [x[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(0, 1)) for j in range(columns)]
            for i in range(rows)
        ]
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x))[0], expected)


@pytest.mark.parametrize(
    ("sides", "grid"), [((7, 7), 3), ((1, 2), 4), ((18, 25), 7), ((6, 9), 3), ((5, 4), 5)]
)
def test_grid(sides, grid):
    layer = GridPooling2D(grid)
    x = rng.normal(size=(2, *sides, 3)).astype("float32")
    found = ops.convert_to_numpy(layer(x))
    assert found.shape == layer.compute_output_shape(x.shape)
    for i in range(grid):
        for j in range(grid):
            rows, columns = (
                slice(int(np.floor(k * side / grid)), int(np.ceil((k + 1) * side / grid)))
                for k, side in zip((i, j), sides, strict=True)
            )
            expected = x[:, rows, columns].mean(axis=(1, 2))
            np.testing.assert_allclose(found[:, i, j], expected, atol=1e-6)
    copy = GridPooling2D.from_config(layer.get_config())
    np.testing.assert_array_equal(ops.convert_to_numpy(copy(x)), found)


def test_an_image_of_the_size_of_the_grid_stays():
    inputs = keras.Input((7, 7, 3))
    assert pool_to_grid(inputs, 7, name="grid") is inputs
    assert pool_to_grid(inputs, 6, name="grid").shape == (None, 6, 6, 3)
    with pytest.raises(ValueError, match="grid=0"):
        pool_to_grid(inputs, 0, name="grid")
    with pytest.raises(ValueError, match="fixed image size"):
        pool_to_grid(keras.Input((None, 7, 3)), 6, name="grid")


def test_local_response():
    layer = LocalResponseNormalization(size=3, bias=1.5, alpha=0.1, beta=0.6)
    x = rng.normal(size=(2, 3, 4, 5)).astype("float32")
    found = ops.convert_to_numpy(layer(x))
    for channel in range(5):
        near = x[..., max(0, channel - 1) : channel + 2]
        expected = x[..., channel] / (1.5 + 0.1 * (near**2).sum(axis=-1)) ** 0.6
        np.testing.assert_allclose(found[..., channel], expected, rtol=1e-5)
    copy = LocalResponseNormalization.from_config(layer.get_config())
    np.testing.assert_array_equal(ops.convert_to_numpy(copy(x)), found)


@pytest.mark.parametrize("options", [{"size": 2}, {"size": 0}, {"bias": 0.0}])
def test_local_response_errors(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}="):
        LocalResponseNormalization(**options)
