"""Augmentation of whole batches of pixels, as a pure function of a seed."""

from collections.abc import Callable
from typing import Any

Example = dict[str, Any]

AUGMENTATIONS = ("none", "crop", "standard")


def get_augmentation(
    augment: str | None, *, flips: bool, task: str = "classification"
) -> Callable[[Example], Example] | None:
    """The augmentation of this name, on dictionaries with uint8 `images` and a `seed`.

    Args:
        augment: `"crop"` moves the picture by up to an eighth of its side, `"standard"` also
            mirrors half of the pictures; None or `"none"` leaves them alone.
        flips: Whether a mirror image keeps its class; without it `"standard"` does not mirror.

    Returns:
        The function, or None.

    Raises:
        ValueError: If there is no such augmentation.
    """
    if augment is None or augment == "none":
        return None
    if augment not in AUGMENTATIONS:
        raise ValueError(
            f"augment={augment!r} must be one of {AUGMENTATIONS}, None, or a function from "
            "dictionary to dictionary."
        )
    flip = augment == "standard" and flips

    def apply(example: Example) -> Example:
        return {**example, "images": move(example["images"], example["seed"], flip=flip)}

    return apply


def move(images, seed, *, flip: bool):
    """Shifts each image by a random offset, filled by reflection, and mirrors half of them.

    This is padding by an eighth of the side and cropping at random, without the padded copy: the
    rows, then the columns, of the result are gathered from where they come from.

    Args:
        images: `(batch, height, width, channels)` of any type.
        seed: `(2,)` integers; the result depends on nothing else.
        flip: Whether to mirror.

    Returns:
        Images of the same shape and type.
    """
    import tensorflow as tf

    shape = tf.shape(images)
    batch, height, width = shape[0], shape[1], shape[2]
    seeds = tf.random.split(seed, 3)
    rows = _moved(batch, height, seeds[0])  # (batch, height)
    columns = _moved(batch, width, seeds[1])  # (batch, width)
    if flip:
        mirrored = tf.random.stateless_uniform((batch, 1), seeds[2]) < 0.5
        columns = tf.where(mirrored, width - 1 - columns, columns)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def _moved(batch, side, seed):
    """Where each position of a side comes from, `(batch, side)`."""
    import tensorflow as tf

    most = tf.maximum(side // 8, 1)
    offset = tf.random.stateless_uniform((batch, 1), seed, -most, most + 1, tf.int32)
    place = tf.abs(tf.range(side)[tf.newaxis, :] + offset)  # reflected at the start
    return side - 1 - tf.abs(side - 1 - place)  # reflected at the end
