"""Several views of each image: different ones, from the seed alone."""

import numpy as np
import pytest
from PIL import Image

from vislearn.data import load_dataset

pytestmark = pytest.mark.tensorflow

AUGMENT = {"fill": "nearest", "operations": [{"resized_crop": {"area": [0.3, 0.9]}}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures of noise, in two folders for classes."""
    place, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for number in range(40):
        path = place / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return place


def load(folder, seed: int = 0, views: int = 2):
    data = load_dataset(
        folder, task="pretraining", augment=AUGMENT, batch_size=4, seed=seed, quiet=True
    )
    data.views = views
    return data


def images(batches, count: int) -> np.ndarray:
    return np.stack([np.asarray(x) for x, _ in batches.take(count)])


def test_views_are_drawn_from_the_seed_the_epoch_and_the_step(folder):
    data = load(folder)
    steps = data.steps_per_epoch
    found = images(data.training_batches(), 2 * steps)
    assert found.shape == (2 * steps, 4, 2, 12, 12, 3)
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 255
    assert all(np.any(one[0] != one[1]) for one in found.reshape(-1, 2, 12, 12, 3))
    np.testing.assert_array_equal(images(load(folder).training_batches(), 2 * steps), found)
    later = images(load(folder).training_batches(start_epoch=1), steps)
    np.testing.assert_array_equal(later, found[steps:])
    assert np.any(images(load(folder, seed=1).training_batches(), 1) != found[:1])


def test_held_out_views_are_the_same_in_every_epoch(folder):
    data = load(folder)
    (first,), (again,) = ([np.asarray(x) for x, _ in data.validation] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (4, 2, 12, 12, 3)
    assert all(np.any(one[0] != one[1]) for one in first)


def test_views_show_the_same_picture(folder):
    """The views of pictures of one colour each have that colour."""
    data = load(folder)
    pixels = data._images.pixels
    pixels[:] = np.arange(len(pixels), dtype=np.uint8)[:, None, None, None]
    found = images(data.training_batches(), data.steps_per_epoch)
    colours = found.reshape(-1, 2, 12 * 12 * 3)
    assert np.ptp(colours, axis=(1, 2)).max() < 1e-3
    assert len({*colours[:, 0, 0].round().astype(int)}) == len(colours)


def test_three_views(folder):
    assert images(load(folder, views=3).training_batches(), 1).shape == (1, 4, 3, 12, 12, 3)


def test_classes_are_not_given_out_and_make_the_splits_of_a_classifier(folder):
    data, classifier = load(folder), load_dataset(folder, quiet=True)
    assert data.info.classes == ()
    assert data.annotations("train") == {}
    assert set(data.arrays("train")) == {"images"}
    for split in ("train", "validation", "test"):
        assert data.paths(split) == classifier.paths(split)


def test_a_folder_without_classes(tmp_path, folder):
    for path in folder.rglob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = load(tmp_path)
    assert data.info.counts == {"train": 28, "validation": 4, "test": 8}
    assert images(data.training_batches(), 1).shape == (1, 4, 2, 12, 12, 3)
