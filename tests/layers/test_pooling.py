"""Pooling of every kind, unpooling, and local response normalisation against NumPy."""

import math
from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.layers import (
    AdaptivePooling2D,
    FractionalMaxPooling2D,
    IndexedMaxPooling2D,
    L2Pooling2D,
    LocalResponseNormalization,
    MaxUnpooling2D,
    ceil_max_pool,
    pool_to_grid,
)
from vislearn.layers.fractional_pooling import pooling_sequence

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


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize(
    ("sides", "size"),
    [((7, 7), 3), ((1, 2), 4), ((18, 25), 7), ((6, 9), (3, 2)), ((5, 4), (1, 5))],
)
def test_grid(sides, size, pooling):
    layer = AdaptivePooling2D(size, pooling)
    x = rng.normal(size=(2, *sides, 3)).astype("float32")
    found = numpy(layer(x))
    assert found.shape == layer.compute_output_shape(x.shape)
    for i, j in np.ndindex(layer.size):
        rows, columns = (
            slice(int(np.floor(k * side / count)), int(np.ceil((k + 1) * side / count)))
            for k, side, count in zip((i, j), sides, layer.size, strict=True)
        )
        expected = getattr(x[:, rows, columns], {"average": "mean", "max": "max"}[pooling])((1, 2))
        np.testing.assert_allclose(found[:, i, j], expected, atol=1e-6)


def test_an_image_of_the_size_of_the_grid_stays():
    inputs = keras.Input((7, 7, 3))
    assert pool_to_grid(inputs, 7, name="grid") is inputs
    assert pool_to_grid(inputs, 6, name="grid").shape == (None, 6, 6, 3)
    with pytest.raises(ValueError, match="grid=0"):
        pool_to_grid(inputs, 0, name="grid")
    with pytest.raises(ValueError, match="fixed image size"):
        pool_to_grid(keras.Input((None, 7, 3)), 6, name="grid")


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 2), (2, 3), (1, 1)])
def test_root_of_squares(size, stride):
    layer = L2Pooling2D(size, stride)
    x = rng.normal(size=(2, 7, 8, 3)).astype("float32")
    step = stride or size
    rows, columns = ((side - size) // step + 1 for side in (7, 8))
    expected = np.empty((2, rows, columns, 3))
    for i, j in np.ndindex(rows, columns):
        window = x[:, i * step : i * step + size, j * step : j * step + size]
        expected[:, i, j] = np.sqrt((window**2).sum(axis=(1, 2)))
    np.testing.assert_allclose(numpy(layer(x)), expected, atol=1e-5)


def test_root_of_squares_has_a_finite_slope_at_zero():
    """ReLU leaves whole windows at zero, and the root is vertical there."""
    inputs = keras.Input((2, 4, 1))
    model = keras.Model(inputs, L2Pooling2D(2)(keras.layers.Rescaling(1.0)(inputs)))
    x = np.array([[3.0, 0.0, 0.0, 0.0], [4.0, 0.0, 0.0, 0.0]])[None, ..., None].astype("float32")
    slope = numpy(backend.input_gradient(model, ops.convert_to_tensor(x), model.variables))
    np.testing.assert_allclose(slope[0, ..., 0], [[0.6, 0, 0, 0], [0.8, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("size", "stride", "sides"), [(2, 2, (7, 8)), (3, 2, (8, 7)), (2, 3, (8, 5))]
)
def test_values_return_to_where_the_maxima_were(size, stride, sides):
    x = rng.normal(size=(2, *sides, 3)).astype("float32")
    pooled, where = IndexedMaxPooling2D(size, stride)(x)
    np.testing.assert_array_equal(
        numpy(pooled), numpy(ops.max_pool(x, size, stride, padding="valid"))
    )
    values = rng.normal(size=pooled.shape).astype("float32")
    expected = np.zeros_like(x)
    for b, i, j, c in np.ndindex(*pooled.shape):
        rows, columns = i * stride, j * stride
        window = x[b, rows : rows + size, columns : columns + size, c]
        row, column = np.unravel_index(window.argmax(), window.shape)
        assert numpy(where)[b, i, j, c] == row * size + column
        expected[b, rows + row, columns + column, c] += values[b, i, j, c]
    found = numpy(MaxUnpooling2D(size, stride, output_size=sides)([values, where]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    smallest = numpy(MaxUnpooling2D(size, stride)([values, where]))
    height, width = smallest.shape[1:3]
    np.testing.assert_array_equal(smallest, found[:, :height, :width])
    assert not found[:, height:].any() and not found[:, :, width:].any()


def test_of_equal_pixels_the_first_is_the_maximum():
    _, where = IndexedMaxPooling2D()(np.ones((1, 2, 2, 1), "float32"))
    assert numpy(where).item() == 0


def test_unpooling_is_the_gradient_of_pooling():
    """Also where windows overlap and share a maximum: both add up there."""
    x = ops.convert_to_tensor(rng.normal(size=(1, 7, 7, 2)).astype("float32"))
    values = rng.normal(size=(1, 3, 3, 2)).astype("float32")
    pool = IndexedMaxPooling2D(3, 2)
    gradient = backend.input_gradient(lambda x: pool(x)[0] * values, x, [])
    found = MaxUnpooling2D(3, 2)([values, pool(x)[1]])
    np.testing.assert_allclose(numpy(found), numpy(gradient), atol=1e-6)


@pytest.mark.parametrize(("side", "count"), [(9, 6), (25, 17), (7, 3), (4, 3)])
def test_sequence_of_fractional_pooling(side, count):
    """Even steps of two lengths, from one end to the other, for every offset."""
    seen = set()
    for phase in range(1, 64):
        borders = pooling_sequence(side, count, phase)
        u, ratio = Fraction(phase, 64), Fraction(side, count)
        expected = [math.ceil(ratio * (i + u)) - math.ceil(ratio * u) for i in range(count + 1)]
        assert borders.tolist() == expected
        assert (borders[0], borders[-1]) == (0, side)
        assert {*np.diff(borders)} <= {side // count, side // count + 1}
        seen.add(tuple(borders))
    assert len(seen) > 1


@pytest.mark.parametrize("overlapping", [True, False])
def test_fractional_pooling(overlapping):
    layer = FractionalMaxPooling2D(1.5, overlapping, seed=1)
    x = rng.normal(size=(2, 9, 13, 3)).astype("float32")
    found = numpy(layer(x))
    assert found.shape == layer.compute_output_shape(x.shape) == (2, 6, 8, 3)
    rows, columns = pooling_sequence(9, 6, 32), pooling_sequence(13, 8, 32)
    for i, j in np.ndindex(6, 8):
        window = x[
            :, rows[i] : rows[i + 1] + overlapping, columns[j] : columns[j + 1] + overlapping
        ]
        np.testing.assert_array_equal(found[:, i, j], window.max(axis=(1, 2)))


def test_fractional_pooling_draws_by_seed():
    x = rng.normal(size=(1, 25, 25, 1)).astype("float32")
    layers = [FractionalMaxPooling2D(seed=seed) for seed in (1, 1, 2)]
    first, same, other = (
        np.stack([numpy(layer(x, training=True)) for _ in range(3)]) for layer in layers
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other) and not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(numpy(layers[0](x)), numpy(layers[2](x)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaptivePooling2D((2, 0)), r"size=\(2, 0\)"),
        (lambda: AdaptivePooling2D(2, "sum"), "pooling='sum'"),
        (lambda: L2Pooling2D(0), "size=0"),
        (lambda: MaxUnpooling2D(2, 0), "stride=0"),
        (lambda: IndexedMaxPooling2D(3)(np.ones((1, 2, 4, 1))), "size=3 is larger"),
        (lambda: MaxUnpooling2D()([np.ones((1, 2, 2, 1)), np.ones((1, 2, 3, 1))]), "one shape"),
        (
            lambda: MaxUnpooling2D(output_size=(7, 5))([np.ones((1, 2, 2, 1))] * 2),
            r"output_size=\(7, 5\) is pooled to \(3, 2\)",
        ),
        (lambda: FractionalMaxPooling2D(1.0), "ratio=1.0"),
        (lambda: FractionalMaxPooling2D().build((None, None, 8, 1)), "fixed size"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


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
