"""Prototypes: the nearest mean of features (arXiv:1703.05175)."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.training import prototype_classifier


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype("float32")
    return pixels, labels


@pytest.fixture(scope="module")
def trained(digits):
    """A network that knows the digits 0 to 4."""
    pixels, labels = digits
    keras.utils.set_random_seed(0)
    known = labels < 5
    network = vislearn.create_model("mlp", input_shape=(8, 8, 1), num_classes=5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(2e-3), loss)
    network.fit(pixels[known], labels[known], epochs=6, batch_size=64, verbose=0)
    return network


@pytest.fixture(scope="module")
def few(digits):
    """Ten images each of the digits 5 to 9, which it has not seen, and the others of them."""
    pixels, labels = digits
    chosen = np.concatenate([np.flatnonzero(labels == k)[:10] for k in range(5, 10)])
    rest = np.setdiff1d(np.flatnonzero(labels >= 5), chosen)
    return pixels[chosen], labels[chosen] - 5, pixels[rest], labels[rest] - 5


def test_ten_images_of_classes_that_it_has_not_seen(trained, few):
    images, labels, others, truth = few
    before = trained.get_weights()
    model = prototype_classifier(trained, images, labels, 5)
    answers = model.predict(others, verbose=0).argmax(axis=-1)
    assert np.mean(answers == truth) > 0.6  # Guessing gives 0.2.
    for one, two in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_equals_the_equations(trained, few):
    images, labels, others, _ = few
    body = keras.Model(trained.input, trained.get_layer("head").input)
    found, some = (body.predict(x, verbose=0).astype(np.float64) for x in (images, others[:20]))
    means = np.stack([found[labels == k].mean(axis=0) for k in range(5)])
    closeness = -np.sum(np.square(some[:, None] - means), axis=-1)  # (images, classes)
    closeness -= closeness.max(axis=1, keepdims=True)
    expected = np.exp(closeness) / np.exp(closeness).sum(axis=1, keepdims=True)
    model = prototype_classifier(trained, images, labels, 5, classifier_activation="softmax")
    np.testing.assert_allclose(model.predict(others[:20], verbose=0), expected, atol=1e-3)
    assert prototype_classifier(body, images, labels, 5).output_shape == (None, 5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"labels have the shape \(2,\), and there are 3 images"),
        ([0, 0, 2], r"labels=\[0, 2\] must hold each of 0..2"),
        ([0, 1, 3], r"labels=\[0, 1, 3\] must hold each of 0..2"),
    ],
)
def test_wrong_labels(trained, labels, message):
    with pytest.raises(ValueError, match=message):
        prototype_classifier(trained, np.zeros((3, 8, 8, 1)), labels, 3)


def test_feature_maps_are_no_features():
    inputs = keras.Input((8, 8, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs), name="maps")
    with pytest.raises(ValueError, match="network='maps' gives"):
        prototype_classifier(network, np.zeros((1, 8, 8, 1)), [0], 1)
