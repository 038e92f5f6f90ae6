"""Colours as a matrix on the channels of each image; noise, and the enhancement of edges."""

import functools
import math

from vislearn.data.augmentation import draws
from vislearn.data.augmentation.description import Augmentation, Example
from vislearn.data.augmentation.operations import (
    Brightness,
    Colour,
    ColourShift,
    Contrast,
    Edges,
    FancyPCA,
    Hue,
    Noise,
    Saturation,
)

MIDDLE = 127.5


def recolour(run: list[Colour], example: Example, seed, augmentation: Augmentation) -> Example:
    """Changes of colour, one after the other, as one; cut to 0..255 once."""
    import tensorflow as tf

    images = example["images"]
    batch, channels = tf.shape(images)[0], images.shape[-1]
    run = [item for item in run if channels == 3 or not isinstance(item, Saturation | Hue)]
    if not run:
        return example
    factor = tf.eye(channels, batch_shape=(batch,))
    offset = tf.zeros((batch, channels))
    for colour, its_seed in zip(run, tf.unstack(tf.random.split(seed, len(run))), strict=True):
        which, how = tf.unstack(tf.random.split(its_seed))
        done = draws.chosen(colour, batch, which)
        its_factor, its_offset = matrix(colour, batch, channels, how)
        its_factor = draws.where(done, its_factor, tf.eye(channels))
        factor = tf.matmul(factor, its_factor)
        offset = tf.linalg.matvec(its_factor, offset, transpose_a=True)
        offset += draws.where(done, its_offset, 0.0)
    pixels = tf.cast(images, tf.float32)
    if any(isinstance(item, Saturation | Hue) for item in run):
        flat = tf.matmul(tf.reshape(pixels, (batch, -1, channels)), factor)
        pixels = tf.reshape(flat, tf.shape(images))
    else:  # each channel for itself, which is quicker
        pixels *= tf.linalg.diag_part(factor)[:, tf.newaxis, tf.newaxis]
    return {**example, "images": draws.like(pixels + offset[:, tf.newaxis, tf.newaxis], images)}


@functools.singledispatch
def matrix(colour: Colour, batch, channels: int, seed):
    """What is done to the colour of a pixel.

    Args:
        colour: The operation.
        batch: Number of images.
        channels: 1 or 3; only with 3 for `Saturation` and `Hue`.
        seed: `(2,)`.

    Returns:
        A factor `(batch, channels, channels)`, to be multiplied from the right, and an offset
        `(batch, channels)` that is added then.
    """
    raise NotImplementedError(type(colour).__name__)


@matrix.register
def _(colour: Brightness, batch, channels, seed):
    import tensorflow as tf

    offset = 255.0 * colour.amount * draws.uniform((batch, 1), seed)
    return tf.eye(channels, batch_shape=(batch,)), tf.tile(offset, (1, channels))


@matrix.register
def _(colour: Contrast, batch, channels, seed):
    import tensorflow as tf

    return _about_middle(tf.tile(_either_way((batch, 1), seed, colour.amount), (1, channels)))


@matrix.register
def _(colour: ColourShift, batch, channels, seed):
    import tensorflow as tf

    how, where = tf.unstack(tf.random.split(seed))
    factor, offset = _about_middle(_either_way((batch, channels), how, colour.amount))
    return factor, offset + 255.0 * colour.offset * draws.uniform((batch, channels), where)


@matrix.register
def _(colour: Saturation, batch, channels, seed):
    import tensorflow as tf

    saturation = _either_way((batch,), seed, colour.amount)
    return about_grey(saturation, tf.zeros((batch,))), tf.zeros((batch, channels))


@matrix.register
def _(colour: Hue, batch, channels, seed):
    import tensorflow as tf

    hue = colour.angle * draws.uniform((batch,), seed)
    return about_grey(tf.ones((batch,)), hue), tf.zeros((batch, channels))


@matrix.register
def _(colour: FancyPCA, batch, channels, seed):
    import tensorflow as tf

    check_channels("fancy_pca", channels)
    factors = colour.deviation * tf.random.stateless_normal((batch, 3), seed)
    offset = 255.0 * tf.matmul(factors * colour.eigenvalues, colour.eigenvectors)
    if channels == 1:
        offset = tf.reduce_mean(offset, axis=-1, keepdims=True)
    return tf.eye(channels, batch_shape=(batch,)), offset


def check_channels(name: str, channels: int) -> None:
    """Raises ValueError where a change of RGB has no meaning: neither colour nor grey."""
    if channels not in (1, 3):
        raise ValueError(f"{name}: images have {channels} channels; it takes 1 or 3.")


def _either_way(shape, seed, amount: float):
    """Factors up to 1 + `amount`; f and 1 / f are as likely."""
    import tensorflow as tf

    return tf.exp(math.log1p(amount) * draws.uniform(shape, seed))


def _about_middle(factors):
    """Multiplies the distance from the middle grey by `(batch, channels)`."""
    import tensorflow as tf

    return tf.linalg.diag(factors), MIDDLE * (1 - factors)


def about_grey(saturation, hue):
    """Matrices that turn RGB vectors about the axis of greys and stretch them away from it.

    Args:
        saturation, hue: `(batch,)`, a factor and an angle in radians.

    Returns:
        `(batch, 3, 3)`, to be multiplied from the right; a grey stays what it is.
    """
    import tensorflow as tf

    one = tf.fill((3, 3), 1 / 3)  # projects on the axis
    # Rodrigues' formula for the axis (1, 1, 1) / sqrt(3).
    cross = tf.constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = (saturation * f(hue) for f in (tf.cos, tf.sin))
    return one + cos[:, None, None] * (tf.eye(3) - one) + sin[:, None, None] * cross


def add_noise(run: list[Noise], example: Example, seed, augmentation: Augmentation) -> Example:
    """Normal noise."""
    import tensorflow as tf

    images = example["images"]
    batch = tf.shape(images)[0]
    which, how, what = tf.unstack(tf.random.split(seed, 3))
    deviation = 255.0 * run[0].deviation * draws.uniform((batch,), how, 0.0)
    deviation = tf.where(draws.chosen(run[0], batch, which), deviation, 0.0)
    noise = tf.random.stateless_normal(tf.shape(images), what) * draws.of_images(deviation)
    return {**example, "images": draws.like(tf.cast(images, tf.float32) + noise, images)}


def enhance_edges(run: list[Edges], example: Example, seed, augmentation: Augmentation) -> Example:
    """More of what differs from the mean of the neighbours."""
    import tensorflow as tf

    images = example["images"]
    batch = tf.shape(images)[0]
    which, how = tf.unstack(tf.random.split(seed))
    amount = run[0].amount * draws.uniform((batch,), how, 0.0)
    amount = tf.where(draws.chosen(run[0], batch, which), amount, 0.0)
    return {**example, "images": draws.like(sharpened(images, amount), images)}


def sharpened(images, amount):
    """Images plus `amount` `(batch,)` times what differs from the mean of 3 x 3 pixels, float32."""
    import tensorflow as tf

    pixels = tf.cast(images, tf.float32)
    # At the border, the mean is over those neighbours that there are.
    mean = _three(_three(pixels, 1), 2) / _three(_three(tf.ones_like(pixels[:1, ..., :1]), 1), 2)
    return pixels + draws.of_images(amount) * (pixels - mean)


def _three(values, axis: int):
    """Each value and its neighbours along an axis, 1 or 2, added up; zero beyond the ends."""
    import tensorflow as tf

    padding = [[0, 0], [0, 0], [0, 0], [0, 0]]
    padding[axis] = [1, 1]
    padded = tf.pad(values, padding)
    if axis == 1:
        return padded[:, :-2] + values + padded[:, 2:]
    return padded[:, :, :-2] + values + padded[:, :, 2:]
