"""Images of a batch put together: each with the next one, in a batch whose order is random."""

from vislearn.data import geometry
from vislearn.data.augmentation import draws
from vislearn.data.augmentation.description import Augmentation, Example
from vislearn.data.augmentation.operations import CutMix, Mixup, Mosaic


def mixup(run: list[Mixup], example: Example, seed, augmentation: Augmentation) -> Example:
    """Weighted means of images, labels and targets."""
    import tensorflow as tf

    (operation,) = run
    _check(example, "mixup", without=("boxes", "masks"))
    if operation.alpha == 0:
        return example
    images = example["images"]
    batch = tf.shape(images)[0]
    which, how = tf.unstack(tf.random.split(seed))
    weight = draws.beta((batch,), how, operation.alpha)
    weight = tf.where(draws.chosen(operation, batch, which), weight, 1.0)
    pixels = _mean(tf.cast(images, tf.float32), weight)
    found = {**example, "images": draws.like(pixels, images)}
    for name in ("labels", "targets"):
        if name in example:
            found[name] = _mean(example[name], weight)
    return found


def cutmix(run: list[CutMix], example: Example, seed, augmentation: Augmentation) -> Example:
    """A rectangle of the next image; labels weigh as much as their image's area."""
    import tensorflow as tf

    (operation,) = run
    _check(example, "cutmix", without=("boxes", "targets"))
    if operation.alpha == 0:
        return example
    shape = tf.shape(example["images"])
    batch, size = shape[0], tf.cast(tf.stack([shape[2], shape[1]]), tf.float32)
    which, how, where = tf.unstack(tf.random.split(seed, 3))
    share = tf.sqrt(1 - draws.beta((batch, 1), how, operation.alpha))  # of each side
    centre = draws.uniform((batch, 2), where, 0.0) * size
    start = tf.maximum(centre - share * size / 2, 0.0)
    end = tf.minimum(centre + share * size / 2, size)
    cut = geometry.within(tf.concat([start, end], axis=-1), size[1], size[0])
    cut &= draws.chosen(operation, batch, which)[:, tf.newaxis, tf.newaxis]
    found = dict(example)
    for name in ("images", "masks"):
        if name in example:
            here = cut[..., tf.newaxis] if name == "images" else cut
            found[name] = tf.where(here, _next(example[name]), example[name])
    if "labels" in example:
        stays = 1 - tf.reduce_mean(tf.cast(cut, tf.float32), axis=(1, 2))
        found["labels"] = _mean(example["labels"], stays)
    return found


def mosaic(run: list[Mosaic], example: Example, seed, augmentation: Augmentation) -> Example:
    """Four images that meet in a point, each scaled to fill its corner."""
    import tensorflow as tf

    (operation,) = run
    _check(example, "mosaic", without=("targets",))
    images = example["images"]
    shape = tf.shape(images)
    batch, size = shape[0], tf.cast(tf.stack([shape[2], shape[1]]), tf.float32)
    which, where = tf.unstack(tf.random.split(seed))
    centre = draws.uniform((batch, 2), where, *map(float, operation.centre))
    centre = tf.round(centre * size)  # between two pixels
    done = draws.chosen(operation, batch, which)
    parts, frames = [], []
    for number, (right, down) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        side = tf.constant([right, down], tf.float32)
        # The corner, and the image scaled to cover it, with its own corner at the centre.
        start, end = side * centre, centre + side * (size - centre)
        scale = tf.reduce_max((end - start) / size, axis=-1)  # (batch,)
        offset = centre - (1 - side) * scale[:, tf.newaxis] * size
        linear = tf.eye(2) * scale[:, tf.newaxis, tf.newaxis]
        frame = tf.concat([start, end], axis=-1)
        if number == 0:  # What is not done shows the first image, all of it, and no other.
            whole = tf.stack([0.0, 0.0, size[0], size[1]])
            linear = draws.where(done, linear, tf.eye(2))
            offset = draws.where(done, offset, 0.0)
            frame = draws.where(done, frame, whole)
        else:
            frame = draws.where(done, frame, 0.0)
        movement = geometry.Affine(tf.concat([linear, offset[..., tf.newaxis]], axis=-1))
        part = {name: _next(value, number) for name, value in example.items() if name != "seed"}
        # The border of an image lies between pixels at most: what it shows there is itself.
        parts.append(geometry.move(part, movement, fill="nearest", frame=frame))
        frames.append(frame)
    return {**example, **_together(parts, frames, size)}


def _together(parts: list[Example], frames, size) -> Example:
    """Each part in its frame; its objects after those of the part before."""
    import tensorflow as tf

    found = {}
    areas = [geometry.within(frame, size[1], size[0]) for frame in frames]
    for name in ("images", "masks"):
        if name in parts[0]:
            values = parts[0][name]
            for part, area in zip(parts[1:], areas[1:], strict=True):
                here = area[..., tf.newaxis] if name == "images" else area
                values = tf.where(here, part[name], values)
            found[name] = values
    if "boxes" in parts[0]:
        for name in ("boxes", "labels", "crowd", "instance_masks", "keypoints"):
            if name in parts[0]:
                found[name] = tf.concat([part[name] for part in parts], axis=1)
    elif "labels" in parts[0]:
        weights = [tf.reduce_mean(tf.cast(area, tf.float32), axis=(1, 2)) for area in areas]
        found["labels"] = tf.add_n(
            [
                part["labels"] * weight[:, tf.newaxis]
                for part, weight in zip(parts, weights, strict=True)
            ]
        )
    return found


def _check(example: Example, name: str, without: tuple[str, ...]) -> None:
    """Sees that all that the example holds can be mixed."""
    for annotation in without:
        if annotation in example:
            raise ValueError(f"{name}: {annotation} cannot be mixed; leave this operation out.")
    if "boxes" not in example and "labels" in example and len(example["labels"].shape) != 2:
        raise ValueError(
            f"{name}: labels must be distributions (batch, classes), not numbers of classes."
        )


def _next(values, distance: int = 1):
    """Those of the image that comes so many places later in the batch."""
    import tensorflow as tf

    return tf.roll(values, -distance, axis=0) if distance else values


def _mean(values, weight):
    """`weight` `(batch,)` of an image's own, and the rest of the next one's."""
    import tensorflow as tf

    weight = tf.reshape(weight, (-1,) + (1,) * (len(values.shape) - 1))
    return weight * values + (1 - weight) * _next(values)
