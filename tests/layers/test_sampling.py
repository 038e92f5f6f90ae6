"""The reparameterised Gaussian."""

import keras
import numpy as np

from vislearn.layers.sampling import GaussianSample

MEAN = np.full((200_000, 2), [1.0, -2.0], "float32")
LOG_VARIANCE = np.full((200_000, 2), [0.0, -2.0], "float32")


def test_mean_and_deviation_of_the_draws():
    layer = GaussianSample(seed=0)
    drawn = keras.ops.convert_to_numpy(layer([MEAN, LOG_VARIANCE], training=True))
    np.testing.assert_allclose(drawn.mean(axis=0), [1, -2], atol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), [1, np.exp(-1)], atol=0.01)
    again = keras.ops.convert_to_numpy(layer([MEAN, LOG_VARIANCE], training=True))
    assert np.abs(drawn - again).max() > 1


def test_inference_is_the_mean():
    for options in ({}, {"training": False}):
        found = GaussianSample()([MEAN, LOG_VARIANCE], **options)
        np.testing.assert_array_equal(found, MEAN)


def test_configuration():
    layer = GaussianSample(seed=3, name="latent")
    copy = GaussianSample.from_config(layer.get_config())
    assert (copy.seed, copy.name) == (3, "latent")
    pair = [MEAN[:4], LOG_VARIANCE[:4]]
    np.testing.assert_array_equal(copy(pair, training=True), layer(pair, training=True))
