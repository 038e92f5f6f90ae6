"""Loss of information: rectangles and grids that hide a part of the picture."""

from vislearn.data import geometry
from vislearn.data.augmentation import draws
from vislearn.data.augmentation.description import Augmentation, Example
from vislearn.data.augmentation.operations import Erase, GridMask


def erase(run: list[Erase], example: Example, seed, augmentation: Augmentation) -> Example:
    """Rectangles in one colour, or full of noise."""
    import tensorflow as tf

    (operation,) = run
    images = example["images"]
    shape = tf.shape(images)
    batch, size = shape[0], tf.cast(tf.stack([shape[2], shape[1]]), tf.float32)
    which, area, ratio, where, what = tf.unstack(tf.random.split(seed, 5))
    draws_shape = (operation.count, batch)
    area = draws.uniform(draws_shape, area, *map(float, operation.area)) * tf.reduce_prod(size)
    ratio = draws.log_uniform(draws_shape, ratio, operation.ratio)
    sides = tf.sqrt(tf.stack([area / ratio, area * ratio], axis=-1))  # (count, batch, 2) pixels
    sides = tf.minimum(sides, size)
    corner = draws.uniform(tf.shape(sides), where, 0.0) * (size - sides)
    frames = tf.concat([corner, corner + sides], axis=-1)
    hidden = tf.reduce_any(
        tf.stack([geometry.within(frame, size[1], size[0]) for frame in tf.unstack(frames)]), axis=0
    )
    hidden &= draws.chosen(operation, batch, which)[:, tf.newaxis, tf.newaxis]
    value = {"grey": geometry.GREY, "black": 0.0}.get(operation.value)
    if value is None:
        value = draws.uniform(shape, what, 0.0, 255.0)
    return _hidden(example, hidden, value)


def hide_grid(run: list[GridMask], example: Example, seed, augmentation: Augmentation) -> Example:
    """The squares of a grid."""
    import tensorflow as tf

    (operation,) = run
    shape = tf.shape(example["images"])
    batch, height, width = shape[0], shape[1], shape[2]
    which, how, where = tf.unstack(tf.random.split(seed, 3))
    shorter = tf.cast(tf.minimum(height, width), tf.float32)
    unit = draws.uniform((batch, 1), how, *map(float, operation.unit)) * shorter
    start = draws.uniform((batch, 2), where, 0.0) * unit
    columns, rows = (
        (tf.range(tf.cast(side, tf.float32)) + first) % unit < operation.hidden * unit
        for side, first in ((width, start[:, :1]), (height, start[:, 1:]))
    )  # (batch, side)
    hidden = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
    hidden &= draws.chosen(operation, batch, which)[:, tf.newaxis, tf.newaxis]
    return _hidden(example, hidden, geometry.GREY)


def _hidden(example: Example, hidden, value) -> Example:
    """The example with a value where `hidden` `(batch, height, width)` says so."""
    import tensorflow as tf

    images = example["images"]
    found = tf.where(hidden[..., tf.newaxis], tf.cast(value, images.dtype), images)
    return {**example, "images": found}
