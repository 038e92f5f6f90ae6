"""Movements as matrices, seen from the centre of the image; cropping by whole pixels; the lens."""

import functools

from vislearn.data import geometry
from vislearn.data.augmentation import draws
from vislearn.data.augmentation.description import Augmentation, Example
from vislearn.data.augmentation.operations import (
    Crop,
    Flip,
    Lens,
    Movement,
    ResizedCrop,
    Rotate,
    ScaleCrop,
    Shear,
    Shift,
    Stretch,
    Zoom,
)


def move(run: list[Movement], example: Example, seed, augmentation: Augmentation) -> Example:
    """Affine movements, one after the other, as one."""
    import tensorflow as tf

    shape = tf.shape(example["images"])
    batch, height, width = shape[0], shape[1], shape[2]
    if len(run) == 1 and isinstance(run[0], Flip) and run[0].axis == "horizontal":
        done = draws.chosen(run[0], batch, seed)
        return geometry.exchange_points(geometry.flip(example, done), done, run[0].pairs)
    size = tf.cast(tf.stack([width, height]), tf.float32)
    linear, shift = tf.eye(2, batch_shape=(batch,)), tf.zeros((batch, 2))
    for movement, its_seed in zip(run, tf.unstack(tf.random.split(seed, len(run))), strict=True):
        which, how = tf.unstack(tf.random.split(its_seed))
        factor, offset = matrix(movement, batch, size, how)
        done = draws.chosen(movement, batch, which)
        if isinstance(movement, Flip):
            example = geometry.exchange_points(example, done, movement.pairs)
        factor = draws.where(done, factor, tf.eye(2))
        offset = draws.where(done, offset, 0.0)
        linear = tf.matmul(factor, linear)
        shift = tf.linalg.matvec(factor, shift) + offset
    affine = geometry.Affine(geometry.about_centre(linear, shift, height, width))
    return geometry.move(example, affine, fill=augmentation.fill, value=augmentation.fill_value)


@functools.singledispatch
def matrix(movement: Movement, batch, size, seed):
    """What is done to the distance from the centre of the image.

    Args:
        movement: The operation.
        batch: Number of images.
        size: `(2,)` float32, width and height in pixels.
        seed: `(2,)`.

    Returns:
        A factor `(batch, 2, 2)`, and an offset in pixels `(batch, 2)` that is added then.
    """
    raise NotImplementedError(type(movement).__name__)


@matrix.register
def _(movement: Flip, batch, size, seed):
    import tensorflow as tf

    signs = (-1.0, 1.0) if movement.axis == "horizontal" else (1.0, -1.0)
    return _scaled(tf.tile(tf.constant([signs]), (batch, 1)))


@matrix.register
def _(movement: Shift, batch, size, seed):
    import tensorflow as tf

    offset = draws.uniform((batch, 2), seed) * (movement.x, movement.y) * size
    return tf.eye(2, batch_shape=(batch,)), offset


@matrix.register
def _(movement: Shear, batch, size, seed):
    import tensorflow as tf

    x, y = tf.unstack(tf.tan(draws.uniform((batch, 2), seed) * (movement.x, movement.y)), axis=-1)
    # Rows first, then columns, so that the area stays whatever the angles.
    factor = tf.stack([tf.ones_like(x), x, y, 1 + x * y], axis=-1)
    return tf.reshape(factor, (-1, 2, 2)), tf.zeros((batch, 2))


@matrix.register
def _(movement: Rotate, batch, size, seed):
    import tensorflow as tf

    angle = draws.uniform((batch,), seed) * movement.angle
    cos, sin = tf.cos(angle), tf.sin(angle)
    factor = tf.reshape(tf.stack([cos, -sin, sin, cos], axis=-1), (-1, 2, 2))
    return factor, tf.zeros((batch, 2))


@matrix.register
def _(movement: Zoom, batch, size, seed):
    import tensorflow as tf

    how, where = tf.unstack(tf.random.split(seed))
    scale = draws.log_uniform((batch, 2 if movement.per_axis else 1), how, movement.scale)
    scale = tf.broadcast_to(scale, (batch, 2))
    return _scaled(scale, size, where) if movement.anywhere else _scaled(scale)


@matrix.register
def _(movement: Stretch, batch, size, seed):
    import tensorflow as tf

    wider = tf.sqrt(draws.log_uniform((batch,), seed, movement.ratio))
    return _scaled(tf.stack([wider, 1 / wider], axis=-1))


@matrix.register
def _(movement: ScaleCrop, batch, size, seed):
    import tensorflow as tf

    how, where = tf.unstack(tf.random.split(seed))
    scale = draws.uniform((batch, 1), how, *map(float, movement.short_side)) / movement.crop
    return _scaled(tf.tile(scale, (1, 2)), size, where)


@matrix.register
def _(movement: ResizedCrop, batch, size, seed):
    import tensorflow as tf

    how, shape, where = tf.unstack(tf.random.split(seed, 3))
    area = draws.uniform((batch,), how, *map(float, movement.area)) * tf.reduce_prod(size)
    ratio = draws.log_uniform((batch,), shape, movement.ratio)
    part = tf.sqrt(tf.stack([area * ratio, area / ratio], axis=-1))  # (batch, 2) pixels
    return _scaled(size / tf.minimum(part, size), size, where)


def _scaled(scale, size=None, seed=None):
    """Scales by `(batch, 2)`; with a seed, what is seen is any part, or lies anywhere."""
    import tensorflow as tf

    offset = tf.zeros_like(scale)
    if seed is not None:
        offset = draws.uniform(tf.shape(scale), seed) * tf.abs(scale - 1) / 2 * size
    return tf.linalg.diag(scale), offset


def crop(run: list[Crop | Flip], example: Example, seed, augmentation: Augmentation) -> Example:
    """A random crop of the images padded by reflection, and a mirror image if a flip follows.

    Nothing is padded: the rows, then the columns, of the result are gathered from where they come
    from.
    """
    import tensorflow as tf

    if "boxes" in example:
        raise ValueError(
            "crop: reflection shows objects a second time, without their boxes; use shift."
        )
    if run[0].padding:
        geometry.check_reflects("crop", *example["images"].shape[1:3])
    shape = tf.shape(example["images"])
    batch, height, width = shape[0], shape[1], shape[2]
    seeds = tf.random.split(seed, 3)
    done = draws.chosen(run[0], batch, tf.random.fold_in(seed, 3))[:, tf.newaxis]
    rows = _moved(batch, height, run[0].padding, seeds[0], done)  # (batch, height)
    columns = _moved(batch, width, run[0].padding, seeds[1], done)  # (batch, width)
    for flip in run[1:]:
        mirrored = draws.chosen(flip, batch, seeds[2])[:, tf.newaxis]
        columns = tf.where(mirrored, width - 1 - columns, columns)
    found = dict(example)
    for name in ("images", "masks"):
        if name in example:
            values = tf.gather(example[name], rows, axis=1, batch_dims=1)
            found[name] = tf.gather(values, columns, axis=2, batch_dims=1)
    return found


def _moved(batch, side, padding: float, seed, done):
    """Where each position of a side comes from, `(batch, side)`."""
    import tensorflow as tf

    most = tf.cast(tf.cast(side, tf.float32) * padding, tf.int32)
    most = tf.maximum(most, 1) if padding else 0
    offset = tf.random.stateless_uniform((batch, 1), seed, -most, most + 1, tf.int32)
    place = tf.abs(tf.range(side)[tf.newaxis, :] + tf.where(done, offset, 0))  # at the start
    return side - 1 - tf.abs(side - 1 - place)  # and reflected at the end


def distort(run: list[Lens], example: Example, seed, augmentation: Augmentation) -> Example:
    """The distortion of a lens."""
    import tensorflow as tf

    which, how = tf.unstack(tf.random.split(seed))
    batch = tf.shape(example["images"])[0]
    strength = draws.uniform((batch,), how) * run[0].strength
    lens = geometry.Radial(tf.where(draws.chosen(run[0], batch, which), strength, 0.0))
    return geometry.move(example, lens, fill=augmentation.fill, value=augmentation.fill_value)
