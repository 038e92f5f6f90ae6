"""Sines and cosines of a time."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.layers import SinusoidalEmbedding


def test_is_the_formula():
    times = np.array([0, 1, 7.5, 1000], "float32")
    found = ops.convert_to_numpy(SinusoidalEmbedding(6)(times))
    frequencies = np.array([1, 1e-2, 1e-4])
    angles = times[:, None] * frequencies
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_comes_back_from_its_configuration():
    layer = SinusoidalEmbedding(6, name="sinusoids")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert again.dim == 6


@pytest.mark.parametrize("dim", [2, 5, 0])
def test_refuses_odd_and_small_sizes(dim):
    with pytest.raises(ValueError, match=f"dim={dim}"):
        SinusoidalEmbedding(dim)
