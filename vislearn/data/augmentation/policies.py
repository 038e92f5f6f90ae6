"""RandAugment and AugMix: each image draws what is done to it.

Operations are in layers. The movements of an image are composed to one matrix, and all that changes
its tones (the values of a channel, whatever their place) to one table of 256 values a channel: the
histogram that a layer finds follows from that of the image. So pixels are touched once, however
many layers there are. Movements come first, then tones, then colour and sharpness.
"""

from vislearn.data import geometry
from vislearn.data.augmentation import colours, draws
from vislearn.data.augmentation.description import Augmentation, Example
from vislearn.data.augmentation.operations import AugMix, RandAugment

TONES = ("autocontrast", "equalize", "solarize", "posterize", "contrast", "brightness")
NAMES = (
    *("rotate", "shear_x", "shear_y", "shift_x", "shift_y"),
    *TONES,
    *("colour", "sharpness", "identity"),
)
AUGMIX_NAMES = NAMES[:9]  # those that the benchmark on corrupted images does not contain
# At strength 1: rotation and shear in radians, shift as a share of the side, bits that posterising
# drops, and how far a factor is from 1.
ROTATION, SHEAR, SHIFT, BITS, FACTOR = 0.5236, 0.2915, 0.45, 4, 0.9
LUMA = (0.299, 0.587, 0.114)


def rand_augment(
    run: list[RandAugment], example: Example, seed, augmentation: Augmentation
) -> Example:
    """Operations drawn from fourteen."""
    import tensorflow as tf

    (operation,) = run
    batch = tf.shape(example["images"])[0]
    which, what, signs = tf.unstack(tf.random.split(seed, 3))
    layers = (operation.layers, batch)
    drawn = tf.random.stateless_uniform(layers, what, 0, len(NAMES), tf.int32)
    drawn = tf.where(draws.chosen(operation, batch, which), drawn, NAMES.index("identity"))
    strength = operation.magnitude / 10 * tf.sign(draws.uniform(layers, signs))
    example = geometry.move(
        example,
        _movement(drawn, strength, example["images"]),
        fill=augmentation.fill,
        value=augmentation.fill_value,
    )
    images = example["images"]
    pixels = _blended(_toned(images, drawn, strength), drawn, strength)
    return {**example, "images": draws.like(pixels, images)}


def augmix(run: list[AugMix], example: Example, seed, augmentation: Augmentation) -> Example:
    """The image and chains of operations on it, laid over each other."""
    import tensorflow as tf

    (operation,) = run
    if "boxes" in example or "masks" in example:
        raise ValueError("augmix: lays moved images over each other, which boxes and masks cannot.")
    images = example["images"]
    batch = tf.shape(images)[0]
    which, what, how, depth, weights, weight = tf.unstack(tf.random.split(seed, 6))
    # Every chain is a batch of its own: (depth, width * batch).
    layers, chains = (operation.depth, operation.width * batch), (operation.width * batch,)
    drawn = tf.random.stateless_uniform(layers, what, 0, len(AUGMIX_NAMES), tf.int32)
    depths = tf.random.stateless_uniform(chains, depth, 1, operation.depth + 1, tf.int32)
    kept = tf.range(operation.depth)[:, tf.newaxis] < depths
    drawn = tf.where(kept, drawn, NAMES.index("identity"))
    strength = operation.severity / 10 * draws.uniform(layers, how)
    chained = tf.tile(images, (operation.width, 1, 1, 1))
    movement = _movement(drawn, strength, chained)
    chained = geometry.move_images(chained, movement, augmentation.fill, augmentation.fill_value)
    chained = _toned(chained, drawn, strength)
    # A Dirichlet variable is made of gamma variables; in double precision, as they may be tiny.
    shares = tf.random.stateless_gamma(
        (operation.width, batch), weights, operation.alpha, dtype=tf.float64
    )
    shares = tf.cast(shares / tf.reduce_sum(shares, axis=0), tf.float32)
    chained *= draws.of_images(tf.reshape(shares, (-1,)))
    mixed = tf.add_n(tf.split(chained, operation.width))
    pixels = tf.cast(images, tf.float32)
    weight = draws.beta((batch,), weight, operation.alpha)
    weight = draws.of_images(tf.where(draws.chosen(operation, batch, which), weight, 0.0))
    return {**example, "images": draws.like(pixels + weight * (mixed - pixels), images)}


def _movement(drawn, strength, images) -> geometry.Affine:
    """The movements among the layers.

    Args:
        drawn: `(layers, batch)` places in `NAMES`.
        strength: `(layers, batch)` float32, -1 to 1.
        images: What is to be moved.
    """
    import tensorflow as tf

    shape = tf.shape(images)
    height, width = shape[1], shape[2]
    angle = ROTATION * _where(drawn, "rotate", strength)
    # At most one of them is not zero.
    above = SHEAR * _where(drawn, "shear_x", strength) - tf.sin(angle)
    below = SHEAR * _where(drawn, "shear_y", strength) + tf.sin(angle)
    factors = tf.stack([tf.cos(angle), above, below, tf.cos(angle)], axis=-1)
    factors = tf.reshape(factors, (-1, shape[0], 2, 2))  # (layers, batch, 2, 2)
    steps = [_where(drawn, name, strength) for name in ("shift_x", "shift_y")]
    size = tf.cast(tf.stack([width, height]), tf.float32)
    steps = SHIFT * tf.stack(steps, axis=-1) * size  # (layers, batch, 2)
    linear, shift = tf.eye(2, batch_shape=(shape[0],)), tf.zeros((shape[0], 2))
    for layer in range(drawn.shape[0]):
        linear = tf.matmul(factors[layer], linear)
        shift = tf.linalg.matvec(factors[layer], shift) + steps[layer]
    return geometry.Affine(geometry.about_centre(linear, shift, height, width))


def _toned(images, drawn, strength):
    """The images, float32, after those layers that change tones.

    Tones are whole numbers: where there is such a layer, floats are rounded, and nowhere else.
    """
    import tensorflow as tf

    channels = images.shape[-1]
    values = tf.cast(tf.round(images) if images.dtype.is_floating else images, tf.int32)
    batch = tf.shape(images)[0]
    places = tf.range(batch * channels) * 256
    # One row an image and channel.
    flat = tf.reshape(values + tf.range(channels) * 256, (batch, -1))
    counts = tf.math.bincount(flat, minlength=256 * channels, maxlength=256 * channels, axis=-1)
    counts = tf.cast(tf.reshape(counts, (-1, 256)), tf.float32)
    table = tf.zeros_like(counts) + tf.range(256.0)
    for layer in range(drawn.shape[0]):
        now = tf.cast(table, tf.int32) + places[:, tf.newaxis]
        found = tf.math.unsorted_segment_sum(
            tf.reshape(counts, (-1,)), tf.reshape(now, (-1,)), batch * channels * 256
        )
        found = tf.reshape(found, (-1, 256))  # the histogram, after the layers before
        table = _layer(
            table,
            found,
            *(tf.repeat(item[layer], channels) for item in (drawn, strength)),
            channels,
        )
    table = tf.reshape(table, (batch, channels * 256))
    toned = tf.reshape(tf.gather(table, flat, axis=1, batch_dims=1), tf.shape(images))
    of_tones = (drawn >= NAMES.index(TONES[0])) & (drawn <= NAMES.index(TONES[-1]))
    touched = tf.reduce_any(of_tones, axis=0)  # (batch,)
    return draws.where(touched, toned, tf.cast(images, tf.float32))


def _layer(table, counts, drawn, strength, channels: int):
    """One layer on tables of tones.

    Args:
        table: `(batch * channels, 256)` float32, whole numbers.
        counts: `(batch * channels, 256)`, how often each tone is met.
        drawn, strength: `(batch * channels,)`.
        channels: Number of channels of an image.
    """
    import tensorflow as tf

    tones = tf.range(256.0)
    met = counts > 0
    low = tf.reduce_min(tf.where(met, tones, 255.0), axis=-1, keepdims=True)
    high = tf.reduce_max(tf.where(met, tones, 0.0), axis=-1, keepdims=True)
    spread = tf.where(high > low, (table - low) * 255.0 / tf.maximum(high - low, 1.0), table)

    # Equal numbers of pixels a tone, the last tone's left aside.
    total = tf.reduce_sum(counts, axis=-1, keepdims=True)
    last = tf.reduce_sum(tf.where(tones == high, counts, 0.0), axis=-1, keepdims=True)
    step = tf.floor((total - last) / 255.0)
    before = tf.cumsum(counts, axis=-1, exclusive=True) + tf.floor(step / 2)
    equal = tf.minimum(tf.math.divide_no_nan(before, step), 255.0)
    equal = tf.gather(tf.floor(equal), tf.cast(table, tf.int32), axis=1, batch_dims=1)
    equal = tf.where(step > 0, equal, table)

    size, signed = tf.abs(strength)[:, tf.newaxis], strength[:, tf.newaxis]
    solar = tf.where(table < 256.0 * (1 - size), table, 255.0 - table)
    block = 2.0 ** tf.round(BITS * size)
    poster = tf.floor(table / block) * block
    mean = tf.reduce_sum(counts * tones, axis=-1) / total[:, 0]
    mean = tf.reshape(mean, (-1, channels))  # (batch, channels)
    weights = LUMA if channels == 3 else tf.fill((channels,), 1 / channels)
    mean = tf.repeat(tf.reduce_sum(mean * weights, axis=-1), channels)[:, tf.newaxis]
    results = {
        "autocontrast": spread,
        "equalize": equal,
        "solarize": solar,
        "posterize": poster,
        "contrast": mean + (table - mean) * (1 + FACTOR * signed),
        "brightness": table * (1 + FACTOR * signed),
    }
    for name, result in results.items():
        here = (drawn == NAMES.index(name))[:, tf.newaxis]
        table = tf.where(here, tf.clip_by_value(tf.round(result), 0.0, 255.0), table)
    return table


def _blended(pixels, drawn, strength):
    """Images, float32, after those layers that change their colour and sharpness."""
    import tensorflow as tf

    colour, sharpness = (
        tf.reduce_prod(1 + FACTOR * _where(drawn, name, strength), axis=0)
        for name in ("colour", "sharpness")
    )
    if pixels.shape[-1] == 3:
        grey = tf.reduce_sum(pixels * LUMA, axis=-1, keepdims=True)
        pixels = draws.where(colour == 1, pixels, grey + draws.of_images(colour) * (pixels - grey))
    # Smooth means 5 parts of a pixel and one of each neighbour: 9 / 13 of the way to the mean.
    return colours.sharpened(pixels, (sharpness - 1) * 9 / 13)


def _where(drawn, name: str, strength):
    """The strength where this operation is drawn, and zero elsewhere."""
    import tensorflow as tf

    return tf.where(drawn == NAMES.index(name), strength, 0.0)
