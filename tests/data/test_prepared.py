"""The embedded digits, and data sets that TFDS has prepared."""

import socket

import numpy as np
import pytest

from tests.data.conftest import noise
from vislearn.data import load_dataset
from vislearn.data.prepared import mirror_keeps_class

pytestmark = pytest.mark.tensorflow


def test_digits():
    data = load_dataset("digits", augment="standard", seed=1)
    assert data.info.counts == {"train": 1259, "validation": 179, "test": 359}
    assert data.info.image_shape == (8, 8, 1)
    assert data.info.classes == tuple("0123456789")
    assert data.paths("test") is None
    images, labels = data.arrays("all").values()
    assert (images.min(), images.max()) == (0, 255)
    assert len(np.unique(images)) == 17
    shares = np.bincount(data.arrays("train")["labels"]) / np.bincount(labels)
    np.testing.assert_allclose(shares, 0.7, atol=0.01)
    assert not data.info.flips
    assert any("not mirrored" in note for note in data.info.notes)


def test_digits_in_another_format():
    data = load_dataset("digits", image_size=(10, 12), channels=3)
    assert data.info.image_shape == (10, 12, 3)
    images, _ = data.arrays("test").values()
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


@pytest.mark.parametrize(
    ("source", "classes", "keeps"),
    [
        ("cifar10", ("cat", "dog"), True),
        ("mnist", tuple("0123456789"), False),
        ("svhn_cropped", ("7", "12", "-3"), False),
        ("emnist/letters", tuple("ABC"), False),
        ("kmnist", ("o", "ki", "su"), False),
        ("fashion_mnist", ("Bag", "Coat"), True),
        ("letters", ("a", "left"), True),
    ],
)
def test_mirrors(source, classes, keeps):
    assert mirror_keeps_class(source, classes) is keeps


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Folder of a TFDS data set, and its images in order by split; written without a network."""
    import tensorflow_datasets as tfds

    content = {
        "train": [(noise(n, 9, 10), n % 3) for n in range(30)],
        "test": [(noise(100 + n, 9, 10), n % 3) for n in range(6)],
    }

    class Toy(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=(9, 10, 3), encoding_format="png"),
                        "label": tfds.features.ClassLabel(names=["ant", "bee", "cow"]),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in content}

        def _generate_examples(self, split):
            for number, (image, label) in enumerate(content[split]):
                yield number, {"image": image, "label": label}

    folder = tmp_path_factory.mktemp("tfds")
    Toy(data_dir=folder).download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return folder, content


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **_):
        raise AssertionError(f"tried the network: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", ["toy", "toy:1.0.0"])
@pytest.mark.parametrize("cache", ["memory", "none"])
def test_prepared(toy, no_network, name, cache):
    folder, content = toy
    data = load_dataset(name, data_dir=folder, cache=cache, batch_size=4)
    assert data.info.classes == ("ant", "bee", "cow")
    assert data.info.counts == {"train": 27, "validation": 3, "test": 6}
    assert data.info.image_shape == (9, 10, 3)
    assert data.paths("train") is None
    images, labels = data.arrays("all").values()
    pairs = {(image.tobytes(), label) for image, label in zip(images, labels, strict=True)}
    assert pairs == {
        (image.tobytes(), label) for split in content.values() for image, label in split
    }
    test = {image.tobytes() for image in data.arrays("test")["images"]}
    assert test == {image.tobytes() for image, _ in content["test"]}
    assert next(iter(data.train))[0].shape == (4, 9, 10, 3)


def test_not_prepared_says_how_to(tmp_path, no_network):
    with pytest.raises(FileNotFoundError, match="nothing is downloaded") as caught:
        load_dataset("cifar10", data_dir=tmp_path)
    command = f"tfds.builder('cifar10', data_dir={str(tmp_path)!r}).download_and_prepare()"
    assert command in str(caught.value)


@pytest.mark.parametrize(
    ("name", "near"), [("cifar01", "cifar10"), ("mnits", "mnist"), ("digit", "digits")]
)
def test_misspelt_name(tmp_path, no_network, name, near):
    with pytest.raises(ValueError, match=rf"{name}' is neither .*mean .*\b{near}\b"):
        load_dataset(name, data_dir=tmp_path)
