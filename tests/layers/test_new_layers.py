"""The layers of the small classifiers and of the transformers against NumPy, and their errors."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.layers import (
    ClassToken,
    LocallyConnected2D,
    Maxout,
    PositionEmbedding,
    RadialBasis,
    drop_rates,
)

rng = np.random.default_rng(0)


def random(*shape):
    return rng.normal(size=shape).astype("float32")


def filled(layer, shape):
    """The layer, built, with random weights."""
    layer.build(shape)
    for weight in layer.weights:
        weight.assign(random(*weight.shape) + (1.5 if weight.name == "widths" else 0))
    return layer


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Maxout(4, 3), (2, 5)),
        (RadialBasis(4), (2, 5)),
        (LocallyConnected2D(4, 3, stride=2, padding="same"), (2, 7, 6, 3)),
        (LocallyConnected2D(4, 3, stride=2), (2, 7, 6, 3)),
        (ClassToken(), (2, 5, 3)),
        (PositionEmbedding(), (2, 5, 3)),
        (PositionEmbedding((2, 2)), (2, 5, 3)),
    ],
    ids=lambda value: value.name if isinstance(value, keras.layers.Layer) else None,
)
def test_shape_and_configuration(layer, shape):
    """The promised shape is the shape, and a copy made from the configuration is the same."""
    layer = filled(layer, shape)
    x = random(*shape)
    y = numpy(layer(x))
    assert y.shape == layer.compute_output_shape(shape)
    copy = type(layer).from_config(layer.get_config())
    copy.build(shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numpy(copy(x)), y)


def test_maxout_by_hand():
    layer = Maxout(1, 2)
    layer.build((1, 1))
    layer.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    # The larger of x and -x: the absolute value.
    np.testing.assert_allclose(numpy(layer(np.array([[-3.0], [2.0]]))), [[3.0], [2.0]])


def test_radial_basis_is_one_at_its_centre():
    layer = RadialBasis(3, width=0.5)
    layer.build((None, 4))
    centers = random(3, 4)
    layer.place_centers(centers)
    y = numpy(layer(centers))
    np.testing.assert_allclose(np.diag(y), 1, atol=1e-5)
    distance = np.mean((centers[0] - centers[1]) ** 2)
    assert y[0, 1] == pytest.approx(np.exp(-distance / 0.25), rel=1e-4)


def test_radial_basis_keeps_float32_under_mixed_precision():
    """Far from zero, |x|^2 - 2 x.c + |c|^2 is lost in bfloat16's three digits."""
    layer = RadialBasis(1, width=1.0, dtype="mixed_bfloat16")
    layer.build((None, 64))
    layer.place_centers(np.full((1, 64), 8.0))
    y = layer(np.full((1, 64), 9.0))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert float(numpy(ops.cast(y, "float32"))[0, 0]) == pytest.approx(np.exp(-1), rel=0.01)


def test_radial_basis_refuses_centers_of_another_shape():
    layer = RadialBasis(3)
    layer.build((None, 4))
    with pytest.raises(ValueError, match=r"\(3, 5\) can't be the centres: \(3, 4\)"):
        layer.place_centers(random(3, 5))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_equal_weights_everywhere_make_a_convolution(padding, stride, size):
    x = random(2, 7, 8, 3)
    conv = filled(keras.layers.Conv2D(4, size, stride, padding), x.shape)
    local = LocallyConnected2D(4, size, stride, padding)
    local.build(x.shape)
    kernel, bias = conv.get_weights()
    rows, columns = local.kernel.shape[:2]
    local.set_weights(
        [
            np.broadcast_to(kernel.reshape(-1, 4), (rows, columns, size * size * 3, 4)),
            np.broadcast_to(bias, (rows, columns, 4)),
        ]
    )
    np.testing.assert_allclose(numpy(local(x)), numpy(conv(x)), atol=1e-4)


def test_pixels_have_weights_of_their_own():
    local = filled(LocallyConnected2D(1, 1), (1, 2, 2, 1))
    y = numpy(local(np.ones((1, 2, 2, 1))))
    assert len(np.unique(y)) == 4


def test_class_token_stands_first():
    layer = filled(ClassToken(), (2, 3, 4))
    x = random(2, 3, 4)
    y = numpy(layer(x))
    np.testing.assert_array_equal(y[:, 1:], x)
    np.testing.assert_array_equal(y[0, 0], layer.get_weights()[0][0, 0])
    np.testing.assert_array_equal(y[0, 0], y[1, 0])


def test_positions_are_added():
    layer = filled(PositionEmbedding(), (2, 3, 4))
    x = random(2, 3, 4)
    np.testing.assert_allclose(numpy(layer(x)), x + layer.get_weights()[0], atol=1e-6)


def test_drop_rates_rise_to_the_last():
    assert drop_rates(0.4, 4) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert drop_rates(0.0, 2) == [0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Maxout(0), "units=0"),
        (lambda: Maxout(3, pieces=1), "pieces=1"),
        (lambda: Maxout(3).build((None, 4, 4)), r"\(None, 4, 4\)"),
        (lambda: RadialBasis(0), "units=0"),
        (lambda: RadialBasis(3, width=0), "width=0"),
        (lambda: RadialBasis(3).build((None, 4, 4)), r"\(None, 4, 4\)"),
        (lambda: LocallyConnected2D(0, 3), "filters=0"),
        (lambda: LocallyConnected2D(3, 0), "size=0"),
        (lambda: LocallyConnected2D(3, 3, stride=0), "stride=0"),
        (lambda: LocallyConnected2D(3, 3, padding="full"), "padding='full'"),
        (lambda: LocallyConnected2D(3, 3).build((None, 2, 8, 1)), "size=3 is larger than the 2x8"),
        (lambda: LocallyConnected2D(3, 3).build((None, None, 8, 1)), "fixed image size"),
        (lambda: PositionEmbedding().build((None, None, 4)), "fixed number of tokens"),
        (lambda: drop_rates(1.0, 4), r"drop_path_rate=1\.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
