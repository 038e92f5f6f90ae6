"""What DINO's head and teacher end in."""

import numpy as np
from keras import ops

from vislearn.layers import Centering, Directions


def test_centering():
    centering, x = Centering(momentum=0.8), np.array([[1.0, 2.0], [3.0, 6.0]], "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(centering(x, training=True)), x)
    expected = x - 0.2 * np.array([2.0, 4.0])
    np.testing.assert_allclose(ops.convert_to_numpy(centering(x, training=True)), expected)
    again = Centering.from_config(centering.get_config())
    assert again.momentum == 0.8


def test_directions_have_length_one():
    layer = Directions(3)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    found = ops.convert_to_numpy(layer(x))
    (kernel,) = layer.get_weights()
    np.testing.assert_allclose(found, x @ (kernel / np.linalg.norm(kernel, axis=0)), rtol=1e-5)
    assert Directions.from_config(layer.get_config()).units == 3
