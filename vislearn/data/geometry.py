"""Moving pictures with all that is annotated on them: boxes, masks and key points.

A movement takes a place of the old image to its place in the new one, in pixels, x to the right,
y down, measured from the upper left edge, so that the middle of the first pixel lies at
(0.5, 0.5). It is `Affine`, a matrix an image, and whatever that is composed of, pixels are
resampled once; or `Radial`, a lens.

What leaves the image or comes from outside:

- images show a colour there, by default grey 114, the mean of natural images, or continue as `fill`
  says. Reflection and repetition would show objects a second time, without their annotation: with
  boxes they are refused;
- semantic masks say 255, ignore, or continue like the images;
- boxes become the least upright box around their moved outline, clipped to the image. Turned, that
  is more than the object needs; where there are instance masks, they give the box instead;
- key points outside become invisible;
- an object of which less than `KEEP` of its area remains is dropped: its row stays, with the label
  -1 and zeros.
"""

import dataclasses
from typing import Any, Protocol

Example = dict[str, Any]

GREY = 114.0
IGNORE = 255
KEEP = 0.25


class Movement(Protocol):
    """Where places go to, and where pixels come from."""

    subdivisions: int  # parts of a box's side whose ends have to be followed

    def points(self, places, height, width):
        """Where places `(batch, ..., 2)` of images of this size go."""
        ...

    def resample(self, images, interpolation: str, fill: str, value: float):
        """Images `(batch, height, width, channels)` after the movement, of the same type.

        Args:
            images: The images; floats where `interpolation` is `"BILINEAR"`.
            interpolation: `"BILINEAR"`, between four neighbours, or `"NEAREST"`.
            fill: `"constant"`, `"nearest"`, `"reflect"` or `"wrap"`.
            value: What lies outside with `"constant"`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Affine:
    """`(x', y') = matrix @ (x, y, 1)`.

    Attributes:
        matrix: `(batch, 2, 3)` float32.
    """

    matrix: Any
    subdivisions = 1

    def points(self, places, height, width):
        return move_points(places, self.matrix)

    def resample(self, images, interpolation: str, fill: str, value: float):
        import tensorflow as tf

        # The kernel asks where each pixel comes from, in numbers of pixels: their middles lie at
        # whole numbers, and ours at halves.
        back = invert(self.matrix)
        half = tf.reduce_sum(back[..., :2], axis=-1) * 0.5 - 0.5
        rows = tf.concat([back[..., :2], (back[..., 2] + half)[..., tf.newaxis]], axis=-1)
        transforms = tf.pad(tf.reshape(rows, (-1, 6)), [[0, 0], [0, 2]])
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=transforms,
            output_shape=tf.shape(images)[1:3],
            fill_value=float(value),
            interpolation=interpolation,
            fill_mode=fill.upper(),
        )
        return tf.ensure_shape(moved, images.shape)


@dataclasses.dataclass(frozen=True)
class Radial:
    """The distortion of a lens: what is seen at radius r comes from r (1 + strength r^2).

    The radius is measured from the centre, and 1 at the corners.

    Attributes:
        strength: `(batch,)` float32, -1/3 to 1/3: there, the radius grows with that of its source.
    """

    strength: Any
    subdivisions = 8

    def points(self, places, height, width):
        import tensorflow as tf

        centre = tf.stack([width, height]) / 2
        strength = tf.reshape(self.strength, (-1,) + (1,) * (len(places.shape) - 2))
        offset = (places - centre) / tf.norm(centre)
        source = tf.norm(offset, axis=-1)
        # Newton's method on r (1 + k r^2) = source, which it nears from one side only. Below zero
        # the left grows up to `most`: what comes from farther out is seen nowhere, and goes there.
        most = tf.math.rsqrt(tf.maximum(-3 * strength, 1e-6)) * 0.999
        radius = tf.minimum(source, most)
        for _ in range(12):
            excess = radius * (1 + strength * radius**2) - source
            radius = tf.minimum(radius - excess / (1 + 3 * strength * radius**2), most)
        scale = tf.where(source > 0, radius / tf.maximum(source, 1e-6), 1.0)
        return centre + offset * scale[..., tf.newaxis] * tf.norm(centre)

    def resample(self, images, interpolation: str, fill: str, value: float):
        import tensorflow as tf

        shape = tf.shape(images)
        height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
        centre = tf.stack([width, height]) / 2
        x = (tf.range(width) + 0.5 - centre[0])[tf.newaxis, tf.newaxis, :]
        y = (tf.range(height) + 0.5 - centre[1])[tf.newaxis, :, tf.newaxis]
        square = (x**2 + y**2) / tf.reduce_sum(centre**2)
        scale = 1 + self.strength[:, tf.newaxis, tf.newaxis] * square  # (batch, height, width)
        places = tf.stack([x * scale, y * scale], axis=-1) + centre
        return tf.ensure_shape(_looked_up(images, places, interpolation, fill, value), images.shape)


def _looked_up(images, places, interpolation: str, fill: str, value: float):
    """The images at places `(batch, height, width, 2)`."""
    import tensorflow as tf

    if fill == "constant":  # a border of the colour, which then continues
        around = [[0, 0], [1, 1], [1, 1], [0, 0]]
        images = tf.pad(images, around, constant_values=tf.cast(value, images.dtype))
        return _looked_up(images, places + 1, interpolation, "nearest", value)
    shape = tf.shape(images)
    flat = tf.reshape(images, (shape[0], shape[1] * shape[2], images.shape[-1]))

    def at(x, y):
        """Pixels of these numbers, `(batch, height, width, channels)`."""
        column, row = _continued(x, shape[2], fill), _continued(y, shape[1], fill)
        return tf.gather(flat, row * shape[2] + column, axis=1, batch_dims=1)

    if interpolation == "NEAREST":
        x, y = tf.unstack(tf.cast(tf.floor(places), tf.int32), axis=-1)
        return at(x, y)
    low = tf.floor(places - 0.5)
    x, y = tf.unstack(tf.cast(low, tf.int32), axis=-1)
    right, down = tf.split((places - 0.5 - low), 2, axis=-1)
    above = at(x, y) * (1 - right) + at(x + 1, y) * right
    below = at(x, y + 1) * (1 - right) + at(x + 1, y + 1) * right
    return above * (1 - down) + below * down


def _continued(number, side, fill: str):
    """Numbers of pixels brought to 0..side - 1."""
    import tensorflow as tf

    if fill == "wrap":
        return number % side
    if fill == "reflect":
        number = number % (2 * side)
        return tf.minimum(number, 2 * side - 1 - number)
    return tf.clip_by_value(number, 0, side - 1)


def about_centre(linear, shift, height, width):
    """The matrix of a movement that is told from the centre of the image.

    Args:
        linear: `(batch, 2, 2)`, what is done to the distance from the centre.
        shift: `(batch, 2)` pixels to the right and down, after that.
        height, width: Size of the images.

    Returns:
        `(batch, 2, 3)` float32.
    """
    import tensorflow as tf

    centre = tf.cast(tf.stack([width, height]), tf.float32) / 2
    offset = centre + shift - tf.linalg.matvec(linear, centre)
    return tf.concat([linear, offset[..., tf.newaxis]], axis=-1)


def check_reflects(name: str, height: int | None, width: int | None) -> None:
    """Raises ValueError where there is nothing beside the border that it could reflect."""
    if 1 in (height, width):
        raise ValueError(
            f"{name}: images of {height} x {width} pixels; a reflection needs at least 2 x 2."
        )


def exchange_points(example: Example, mirrored, pairs) -> Example:
    """Exchanges the numbers of key points: in a mirror, a left eye is a right one.

    Args:
        example: A dictionary of the data set; without `keypoints` it is returned as it is.
        mirrored: `(batch,)`, where it is done.
        pairs: Of numbers of key points, or None.

    Raises:
        ValueError: If there are not so many key points.
    """
    import tensorflow as tf

    if "keypoints" not in example or not pairs:
        return example
    points = example["keypoints"]
    order = exchanged_order(points.shape[-2], pairs)
    exchanged = tf.gather(points, order, axis=-2)
    return {**example, "keypoints": tf.where(mirrored[:, None, None, None], exchanged, points)}


def exchanged_order(count: int, pairs) -> list[int]:
    """Of so many key points, the one whose place each of them takes.

    Raises:
        ValueError: If there are not so many.
    """
    order = [*range(count)]
    for one, other in pairs:
        if max(one, other) >= count:
            raise ValueError(
                f"flip: pairs={pairs!r} must be numbers of key points, 0 to {count - 1}."
            )
        order[one], order[other] = other, one
    return order


def flip(example: Example, mirror_x) -> Example:
    """Exchanges left and right where `mirror_x` `(batch,)` says so; no pixel is resampled.

    Key points keep their numbers; see `exchange_points`.
    """
    import tensorflow as tf

    def mirrored(values, axis):
        shape = (-1,) + (1,) * (len(values.shape) - 1)
        return tf.where(tf.reshape(mirror_x, shape), tf.reverse(values, [axis]), values)

    found = dict(example)
    width = tf.cast(tf.shape(example["images"])[2], tf.float32)
    for name, axis in (("images", 2), ("masks", 2), ("instance_masks", 3)):
        if name in example:
            found[name] = mirrored(example[name], axis)
    if "boxes" in example:
        x1, y1, x2, y2 = tf.unstack(example["boxes"], axis=-1)
        boxes = tf.stack([width - x2, y1, width - x1, y2], axis=-1)
        turned = mirror_x[:, tf.newaxis] & (example["labels"] >= 0)  # padding stays zero
        found["boxes"] = tf.where(turned[..., tf.newaxis], boxes, example["boxes"])
    if "keypoints" in example:
        x, y, visible = tf.unstack(example["keypoints"], axis=-1)
        turned = mirror_x[:, tf.newaxis] & (example["labels"] >= 0)
        x = tf.where(turned[..., tf.newaxis], width - x, x)
        found["keypoints"] = tf.stack([x, y, visible], axis=-1)
    return found


def move(example: Example, movement: Movement, *, fill="constant", value=GREY, frame=None):
    """Moves images and annotations; see the head of this file for what happens at the edges.

    Args:
        example: A dictionary of the data set with `images` `(batch, height, width, channels)`, and
            any of `masks`, `boxes`, `labels`, `crowd`, `instance_masks`, `keypoints`.
        movement: What is done to each image.
        fill: How images continue outside: `"constant"`, `"nearest"`, `"reflect"`, `"wrap"`.
        value: What lies there with `"constant"`.
        frame: `(batch, 4)` xyxy, the part of the new image that is looked at, where boxes and key
            points end; None for all of it.

    Returns:
        The dictionary with images and annotations of the same shapes and types.

    Raises:
        ValueError: If objects would be seen a second time.
    """
    images = move_images(example["images"], movement, fill, value)
    found = {**example, "images": images}
    if "masks" in example:
        masks = movement.resample(example["masks"][..., None], "NEAREST", fill, IGNORE)
        found["masks"] = masks[..., 0]
    if "boxes" in example:
        if fill in ("reflect", "wrap"):
            raise ValueError(
                f"fill={fill!r} shows objects a second time, without their boxes: it must be "
                "'constant' or 'nearest'."
            )
        found |= _move_objects(example, movement, frame)
    return found


def move_images(images, movement: Movement, fill: str = "constant", value: float = GREY):
    """Images of any type, resampled between four neighbours."""
    import tensorflow as tf

    # The kernel cuts what it computes in uint8 down to whole numbers, half a level too dark.
    moved = movement.resample(tf.cast(images, tf.float32), "BILINEAR", fill, value)
    return tf.cast(tf.round(moved) if images.dtype.is_integer else moved, images.dtype)


def invert(matrix):
    """The movement back, `(batch, 2, 3)`."""
    import tensorflow as tf

    a, b, c, d = (matrix[:, i, j] for i in (0, 1) for j in (0, 1))
    linear = tf.stack([d, -b, -c, a], axis=-1) / (a * d - b * c)[:, tf.newaxis]
    linear = tf.reshape(linear, (-1, 2, 2))
    offset = -tf.linalg.matvec(linear, matrix[..., 2])
    return tf.concat([linear, offset[..., tf.newaxis]], axis=-1)


def move_points(points, matrix):
    """Places `(batch, ..., 2)`."""
    import tensorflow as tf

    shape = tf.shape(points)
    flat = tf.reshape(points, (shape[0], -1, 2))
    moved = tf.matmul(flat, matrix[..., :2], transpose_b=True) + matrix[:, tf.newaxis, :, 2]
    return tf.ensure_shape(tf.reshape(moved, shape), points.shape)


def _move_objects(example: Example, movement: Movement, frame) -> Example:
    """Boxes, and what belongs to the same objects: labels, crowd, masks, key points."""
    import tensorflow as tf

    shape = tf.shape(example["images"])
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    if frame is None:
        frame = tf.stack([0.0, 0.0, width, height])[tf.newaxis]
    start, end = frame[:, tf.newaxis, :2], frame[:, tf.newaxis, 2:]  # (batch or 1, 1, 2)

    outline = _outline(example["boxes"], movement.subdivisions)
    moved = movement.points(outline, height, width)
    low, high = tf.reduce_min(moved, axis=2), tf.reduce_max(moved, axis=2)
    # How much a box grows by being turned is no part of what is left of the object.
    whole = tf.reduce_prod(high - low, axis=-1)  # (batch, objects)
    low, high = tf.clip_by_value(low, start, end), tf.clip_by_value(high, start, end)
    found: Example = {}
    if "instance_masks" in example:
        # The objects are the channels of one picture, so that they too are resampled in one go.
        masks = tf.cast(tf.transpose(example["instance_masks"], (0, 2, 3, 1)), tf.uint8)
        masks = movement.resample(masks, "NEAREST", "constant", 0) > 0
        masks = tf.transpose(masks, (0, 3, 1, 2)) & within(frame, height, width)[:, tf.newaxis]
        found["instance_masks"] = masks
        boxes = boxes_of_masks(masks)
        before, after = (
            tf.math.count_nonzero(values, axis=(2, 3), dtype=tf.float32)
            for values in (example["instance_masks"], masks)
        )
        before *= tf.math.divide_no_nan(_area(moved), _area(outline))
    else:
        boxes = tf.concat([low, high], axis=-1)
        before, after = whole, tf.reduce_prod(high - low, axis=-1)
    kept = (example["labels"] >= 0) & (after > 0) & (after >= KEEP * before)
    found["boxes"] = tf.where(kept[..., tf.newaxis], boxes, tf.zeros_like(boxes))
    found["labels"] = tf.where(kept, example["labels"], -tf.ones_like(example["labels"]))
    if "crowd" in example:
        found["crowd"] = example["crowd"] & kept
    if "instance_masks" in found:
        found["instance_masks"] &= kept[..., tf.newaxis, tf.newaxis]
    if "keypoints" in example:
        places = movement.points(example["keypoints"][..., :2], height, width)
        inside = tf.reduce_all(
            (places >= start[..., tf.newaxis, :]) & (places < end[..., tf.newaxis, :]), axis=-1
        )
        visible = example["keypoints"][..., 2] * tf.cast(inside, tf.float32)
        keypoints = tf.concat([places, visible[..., tf.newaxis]], axis=-1)
        known = kept[..., tf.newaxis, tf.newaxis]
        found["keypoints"] = tf.where(known, keypoints, tf.zeros_like(keypoints))
    return found


def _outline(boxes, subdivisions: int):
    """Places along the sides of boxes `(batch, objects, 4)`: `(batch, objects, places, 2)`."""
    import tensorflow as tf

    part = tf.range(subdivisions, dtype=tf.float32) / subdivisions  # of a side, without its end
    zero, one = tf.zeros_like(part), tf.ones_like(part)
    x = tf.concat([part, one, 1 - part, zero], axis=0)  # (places,), around the box
    y = tf.concat([zero, part, one, 1 - part], axis=0)
    x1, y1, x2, y2 = tf.split(boxes, 4, axis=-1)
    return tf.stack([x1 + (x2 - x1) * x, y1 + (y2 - y1) * y], axis=-1)


def _area(outline):
    """Areas of polygons `(batch, objects, places, 2)`, by the shoelace formula."""
    import tensorflow as tf

    x, y = outline[..., 0], outline[..., 1]
    cross = x * tf.roll(y, -1, axis=-1) - tf.roll(x, -1, axis=-1) * y
    return tf.abs(tf.reduce_sum(cross, axis=-1)) / 2


def within(frame, height, width):
    """The pixels with their middles in frames `(batch, 4)` xyxy: `(batch, height, width)` bool."""
    import tensorflow as tf

    x1, y1, x2, y2 = tf.unstack(frame[:, tf.newaxis], axis=-1)  # (batch, 1)
    x, y = tf.range(width) + 0.5, tf.range(height) + 0.5
    columns, rows = (x >= x1) & (x < x2), (y >= y1) & (y < y2)
    return rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]


def boxes_of_masks(masks):
    """The least boxes around masks `(batch, objects, height, width)` bool; zeros for an empty one.

    Returns:
        `(batch, objects, 4)` float32 xyxy, along the edges of the pixels.
    """
    import tensorflow as tf

    edges = []
    for axis in (2, 3):  # over the rows: which columns are met; then the other way round
        met = tf.cast(tf.reduce_any(masks, axis=axis), tf.int32)
        first = tf.argmax(met, axis=-1, output_type=tf.int32)
        last = tf.shape(met)[-1] - tf.argmax(tf.reverse(met, [-1]), -1, output_type=tf.int32)
        edges.append((first, tf.where(tf.reduce_any(met > 0, axis=-1), last, 0)))
    (x1, x2), (y1, y2) = edges
    return tf.cast(tf.stack([x1, y1, x2, y2], axis=-1), tf.float32)
