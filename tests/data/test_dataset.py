"""Batches: what training sees, when, and that a resumed run sees the same."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vislearn.data import load_dataset

pytestmark = pytest.mark.tensorflow


def taken(batches, start: int, count: int):
    """`count` batches from number `start` on, as arrays."""
    return [(x.numpy(), y.numpy()) for x, y in batches.skip(start).take(count)]


def assert_equal(first, second):
    assert len(first) == len(second) > 0
    for (x, y), (u, v) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


@pytest.fixture
def folder(make_folder):
    return make_folder({"cat": 24, "dog": 24, "newt": 24})


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_elements(folder, cache):
    data = load_dataset(folder, batch_size=8, cache=cache)
    (x, y) = data.train.element_spec
    assert (x.shape, x.dtype) == ((8, 12, 12, 3), "float32")
    assert (y.shape, y.dtype) == ((8,), "int32")
    assert data.steps_per_epoch == len(data.train) == 51 // 8
    assert sum(len(y) for _, y in data.test) == data.info.counts["test"]
    for split in ("validation", "test"):
        images, labels = data.arrays(split).values()
        batches = taken(getattr(data, split), 0, 99)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), images)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), labels)


def test_fit_takes_it(folder):
    import keras

    model = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    data = load_dataset(folder, batch_size=8)
    history = model.fit(data.train, validation_data=data.validation, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_an_epoch_holds_each_image_once_with_its_label(folder, cache):
    data = load_dataset(folder, batch_size=17, cache=cache)  # 51 images: no remainder
    images, labels = data.arrays("train").values()
    expected = sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))
    orders = []
    for batches in (data.train, data.train, data.training_batches()):
        epoch = taken(batches, 0, data.steps_per_epoch)
        seen = [
            (image.astype(np.uint8).tobytes(), label)
            for x, y in epoch
            for image, label in zip(x, y, strict=True)
        ]
        assert sorted(seen) == expected
        orders.append(seen)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_train_is_the_same_for_the_same_seed(folder):
    def epochs(seed):
        data = load_dataset(folder, batch_size=8, seed=seed, augment="standard")
        return [batch for _ in range(2) for batch in taken(data.train, 0, 3)]

    assert_equal(epochs(3), epochs(3))
    assert any((x != u).any() for (x, _), (u, _) in zip(epochs(3), epochs(4), strict=True))


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("augment", ["none", "crop", "standard"])
def test_resumed_sees_what_unbroken_sees(folder, augment, cache):
    options = {"batch_size": 8, "augment": augment, "seed": 5, "cache": cache}
    unbroken = load_dataset(folder, **options)
    resumed = load_dataset(folder, **options)
    steps = unbroken.steps_per_epoch
    expected = taken(unbroken.training_batches(), 2 * steps, 2 * steps)
    assert_equal(taken(resumed.training_batches(start_epoch=2), 0, 2 * steps), expected)
    other = taken(resumed.training_batches(start_epoch=1), 0, 2 * steps)
    assert any((x != u).any() for (x, _), (u, _) in zip(other, expected, strict=True))


def digest(batches) -> str:
    found = hashlib.sha256()
    for x, y in batches:
        found.update(x.numpy().tobytes() + y.numpy().tobytes())
    return found.hexdigest()


# The process of a real run: TensorFlow's own seed is set, and so is its determinism.
RESUMED = """
import sys
import tensorflow as tf
from tests.data.test_dataset import digest
from vislearn.data import load_dataset

tf.random.set_seed(7)
tf.config.experimental.enable_op_determinism()
for cache in ("memory", "none"):
    data = load_dataset(sys.argv[1], batch_size=8, augment="standard", cache=cache)
    print(digest(data.training_batches(start_epoch=2).take(12)))
"""


def test_resumed_in_another_process_with_determinism(folder):
    data = load_dataset(folder, batch_size=8, augment="standard")
    assert data.steps_per_epoch == 6
    unbroken = digest(data.training_batches().skip(12).take(12))
    resumed = subprocess.run(
        [sys.executable, "-c", RESUMED, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert resumed.stdout.split() == [unbroken, unbroken]


def test_function_as_augmentation(folder):
    import tensorflow as tf

    def noisy(example):
        assert example.keys() == {"images", "labels", "seed"}
        assert example["images"].dtype == tf.float32
        noise = tf.random.stateless_normal((8, 12, 12, 3), example["seed"])
        return {**example, "images": example["images"] + noise}

    data = load_dataset(folder, batch_size=8, augment=noisy)
    plain = load_dataset(folder, batch_size=8)
    steps = data.steps_per_epoch
    (x, y), (u, v) = (taken(d.training_batches(), 0, 1)[0] for d in (data, plain))
    np.testing.assert_array_equal(y, v)
    assert 0.8 < (x - u).std() < 1.2
    assert_equal(
        taken(data.training_batches(), steps, steps), taken(data.training_batches(1), 0, steps)
    )
    np.testing.assert_array_equal(next(iter(data.test))[0], next(iter(plain.test))[0])


def test_too_large_a_batch(folder):
    data = load_dataset(folder, batch_size=64)
    for use in (lambda: data.steps_per_epoch, lambda: data.train, data.training_batches):
        with pytest.raises(ValueError, match="batch_size=64 is more than the 51 training images"):
            use()
    assert len(list(data.test)) == 1  # Evaluation does not mind.


def test_start_epoch_is_checked(folder):
    with pytest.raises(ValueError, match="start_epoch=-1"):
        load_dataset(folder, batch_size=8).training_batches(-1)


def test_no_validation_no_test(make_folder):
    data = load_dataset(make_folder({"train/a": 1, "train/b": 1}), batch_size=1)
    assert data.info.counts == {"train": 2}
    assert data.validation is None
    assert data.test is None


def test_reading_error_reaches_the_training(make_folder):
    folder = make_folder({"a": 6, "b": 6})
    data = load_dataset(folder, cache="none", batch_size=2)
    for path in data.paths("train"):
        path.write_bytes(b"gone bad")
    with pytest.raises(Exception, match="found a text, not a JPEG"):
        list(data.train)


@pytest.mark.slow
def test_cifar10(cifar10):
    data = load_dataset(cifar10, augment="standard", batch_size=128, quiet=True)
    assert data.info.counts == {"train": 45_000, "validation": 5_000, "test": 10_000}
    assert data.info.image_shape == (32, 32, 3)
    assert data.info.flips
    assert data.info.skipped == ()
    np.testing.assert_array_equal(np.bincount(data.arrays("validation")["labels"]), [500] * 10)
    images, _ = next(iter(data.training_batches()))
    assert images.shape == (128, 32, 32, 3)
    # The channel means of CIFAR-10 are known: 125.3, 123.0, 113.9.
    means = data.arrays("train")["images"].mean((0, 1, 2))
    np.testing.assert_allclose(means, [125.3, 123.0, 113.9], atol=0.5)
