"""Pictures for the tests of augmentation, and operations done to them."""

import numpy as np
import tensorflow as tf

from vislearn.data.augmentation import (
    Augmentation,
)

COUNT, HEIGHT, WIDTH, CLASSES = 12, 24, 32, 5


def certain(kind):
    """The operation, done to every image."""
    return kind(probability=1.0)


def pictures(count=COUNT, channels=3, dtype="uint8", seed=0):
    """Smooth pictures, in which every operation can be seen."""
    noise = np.random.default_rng(seed).uniform(0, 255, (count, 4, 4, channels))
    images = tf.image.resize(noise, (HEIGHT, WIDTH), "bicubic")
    return np.clip(np.round(images), 0, 255).astype(dtype)


def labels(count=COUNT):
    return np.eye(CLASSES, dtype="float32")[np.arange(count) % CLASSES]


def run(operations, example, seed=(3, 4), **options):
    operations = operations if isinstance(operations, tuple) else (operations,)
    tensors = {name: tf.constant(value) for name, value in example.items()}
    found = Augmentation(operations, **options)({**tensors, "seed": tf.constant(seed, tf.int64)})
    return {name: value.numpy() for name, value in found.items() if name != "seed"}


def images_of(operations, images, seed=(3, 4), **options):
    return run(operations, {"images": images, "labels": labels(len(images))}, seed, **options)[
        "images"
    ]


def scene():
    """A rectangle of one colour on another, with box, masks and a key point in its middle."""
    rng = np.random.default_rng(1)
    images = np.full((COUNT, 60, 80, 3), 60, np.uint8)
    boxes = np.zeros((COUNT, 2, 4), np.float32)
    masks = np.zeros((COUNT, 60, 80), np.uint8)
    for image in range(COUNT):
        width, height = rng.integers(20, 36, 2)
        x, y = rng.integers(4, 76 - width), rng.integers(4, 56 - height)
        boxes[image, 0] = (x, y, x + width, y + height)
        images[image, y : y + height, x : x + width] = 200
        masks[image, y : y + height, x : x + width] = 1
    instances = np.stack([masks == 1, masks == 9], axis=1)
    middle = (boxes[..., None, :2] + boxes[..., None, 2:]) / 2
    points = np.concatenate([middle, np.ones((COUNT, 2, 1, 1))], -1) * (boxes[:, :, None, 2:3] > 0)
    return {
        "images": images,
        "boxes": boxes,
        "labels": np.tile(np.array([3, -1], np.int32), (COUNT, 1)),
        "masks": masks,
        "instance_masks": instances,
        "keypoints": points.astype(np.float32),
    }
