"""A network that has learnt the digits, and its package, made once for all tests here."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.tasks import Classification

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAINING = 1300


@pytest.fixture(scope="session")
def digits():
    """uint8 images (1797, 8, 8, 1) in 0..255 and their labels, in a fixed random order."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = np.round(data.images[order, :, :, None] * (255 / 16)).astype("uint8")
    return images, data.target[order]


@pytest.fixture(scope="session")
def trained(digits):
    """A small residual network, trained for a few seconds."""
    images, labels = digits
    keras.utils.set_random_seed(0)
    model = vislearn.create_model("resnet20_cifar", input_shape=(8, 8, 1), num_classes=10, depth=8)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(
        images[:TRAINING].astype("float32"), labels[:TRAINING], epochs=6, batch_size=64, verbose=0
    )
    return model


@pytest.fixture(scope="session")
def task():
    return Classification(DIGITS)


@pytest.fixture(scope="session")
def exported(trained, task, digits, tmp_path_factory):
    """The package in all formats, and the report of its export."""
    images, labels = digits
    directory = tmp_path_factory.mktemp("export") / "digits"
    report = vislearn.export_model(
        trained,
        directory,
        task=task,
        quantize=["float16", "dynamic", "int8"],
        calibration=images[:100],
        validation={"images": images[TRAINING:], "labels": labels[TRAINING:]},
        metadata={"data": {"name": "digits"}, "epochs": 6},
    )
    return directory, report


@pytest.fixture
def tiny():
    """A small untrained network for 16-pixel colour images and five classes."""
    info = vislearn.model_info("resnet20_cifar")
    return vislearn.create_model("resnet20_cifar", **info.tiny)


@pytest.fixture
def letters():
    """The task of `tiny`."""
    return Classification(tuple("abcde"))
