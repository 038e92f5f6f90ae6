"""Random numbers that depend on a seed alone, and pixels brought back to what they were."""

from vislearn.data.augmentation.operations import Operation


def uniform(shape, seed, low=-1.0, high=1.0):
    import tensorflow as tf

    return tf.random.stateless_uniform(shape, seed, low, high)


def log_uniform(shape, seed, bounds: tuple[float, float]):
    """Between two positive bounds; the logarithm is uniform."""
    import tensorflow as tf

    low, high = (tf.math.log(float(bound)) for bound in bounds)
    return tf.exp(low + (high - low) * uniform(shape, seed, 0.0))


def beta(shape, seed, alpha: float):
    """From Beta(alpha, alpha), float32."""
    import tensorflow as tf

    # Two gamma variables, in double precision: for a small alpha, both may be tiny.
    draws = tf.random.stateless_gamma((2, *shape), seed, alpha, dtype=tf.float64)
    return tf.cast(draws[0] / (draws[0] + draws[1]), tf.float32)


def chosen(operation: Operation, batch, seed):
    """`(batch,)` bool: which images it is done to."""
    return uniform((batch,), seed, 0.0) < operation.probability


def like(pixels, images):
    """Floats cut to 0..255, in the shape and type of the images."""
    import tensorflow as tf

    pixels = tf.clip_by_value(pixels, 0.0, 255.0)
    pixels = tf.round(pixels) if images.dtype.is_integer else pixels
    return tf.ensure_shape(tf.cast(pixels, images.dtype), images.shape)


def where(condition, values, otherwise):
    """`tf.where` for `(batch,)` conditions on values of any rank."""
    import tensorflow as tf

    shape = (-1,) + (1,) * (len(values.shape) - 1)
    return tf.where(tf.reshape(condition, shape), values, otherwise)


def of_images(values):
    """`(batch,)` to `(batch, 1, 1, 1)`."""
    import tensorflow as tf

    return tf.reshape(values, (-1, 1, 1, 1))
