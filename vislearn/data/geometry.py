"""Moving pictures with all that is annotated on them: boxes, masks and key points.

A movement is a matrix an image, `(batch, 2, 3)` float32, that takes a place of the old image to its
place in the new one: `(x', y') = matrix @ (x, y, 1)`, in pixels, x to the right, y down, measured
from the upper left edge, so that the middle of the first pixel lies at (0.5, 0.5). Whatever it is
composed of, pixels are resampled once.

What leaves the image or comes from outside:

- images show grey 114 there, the mean of natural images. Reflection would show objects a second
  time, without their annotation;
- semantic masks say 255, ignore;
- boxes become the least upright box around their moved corners, clipped to the image. Turned, that
  is more than the object needs; where there are instance masks, they give the box instead;
- key points outside become invisible;
- an object of which less than `KEEP` of its area remains is dropped: its row stays, with the label
  -1 and zeros.
"""

from typing import Any

Example = dict[str, Any]

GREY = 114.0
IGNORE = 255
KEEP = 0.25


def compose(batch, height, width, *, mirror_x, mirror_y, scale, angle, shift):
    """The movement that mirrors, scales and turns about the centre of the image, and then shifts.

    Args:
        batch: Number of images.
        height, width: Their size.
        mirror_x, mirror_y: `(batch,)` bool: exchange left and right, top and bottom.
        scale: `(batch,)`: above 1 enlarges.
        angle: `(batch,)` radians, clockwise as the image is seen.
        shift: `(batch, 2)` pixels to the right and down.

    Returns:
        `(batch, 2, 3)` float32.
    """
    import tensorflow as tf

    sign_x = tf.where(mirror_x, -1.0, 1.0)
    sign_y = tf.where(mirror_y, -1.0, 1.0)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    # [[cos, -sin], [sin, cos]] @ diag(sign_x, sign_y)
    linear = tf.stack([cos * sign_x, -sin * sign_y, sin * sign_x, cos * sign_y], axis=-1)
    linear = tf.reshape(linear, (batch, 2, 2))
    centre = tf.cast(tf.stack([width, height]), tf.float32) / 2
    offset = centre + shift - tf.linalg.matvec(linear, centre)
    return tf.concat([linear, offset[..., tf.newaxis]], axis=-1)


def flip(example: Example, mirror_x) -> Example:
    """Exchanges left and right where `mirror_x` `(batch,)` says so; no pixel is resampled.

    Key points keep their numbers: that of a left eye is then that of a right one.
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


def move(example: Example, matrix) -> Example:
    """Moves images and annotations; see the head of this file for what happens at the edges.

    Args:
        example: A dictionary of the data set with `images` `(batch, height, width, channels)`, and
            any of `masks`, `boxes`, `labels`, `crowd`, `instance_masks`, `keypoints`.
        matrix: `(batch, 2, 3)`.

    Returns:
        The dictionary with images and annotations of the same shapes and types.
    """
    found = {**example, "images": move_images(example["images"], matrix)}
    if "masks" in example:
        masks = example["masks"][..., None]
        found["masks"] = _resampled(masks, matrix, "NEAREST", IGNORE)[..., 0]
    if "boxes" in example:
        found |= _move_objects(example, matrix)
    return found


def move_images(images, matrix, fill: float = GREY):
    """Images, resampled between four neighbours, with `fill` for what lies outside."""
    import tensorflow as tf

    # The kernel cuts what it computes in uint8 down to whole numbers, half a level too dark.
    moved = _resampled(tf.cast(images, tf.float32), matrix, "BILINEAR", fill)
    return tf.cast(tf.round(moved) if images.dtype.is_integer else moved, images.dtype)


def _resampled(images, matrix, interpolation: str, fill: float):
    import tensorflow as tf

    # The kernel asks where each pixel comes from, in numbers of pixels: their middles lie at whole
    # numbers, and ours at halves.
    back = invert(matrix)
    half = tf.reduce_sum(back[..., :2], axis=-1) * 0.5 - 0.5
    rows = tf.concat([back[..., :2], (back[..., 2] + half)[..., tf.newaxis]], axis=-1)
    transforms = tf.reshape(rows, (-1, 6))
    transforms = tf.pad(transforms, [[0, 0], [0, 2]])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=float(fill),
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved, images.shape)


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


def _move_objects(example: Example, matrix) -> Example:
    """Boxes, and what belongs to the same objects: labels, crowd, masks, key points."""
    import tensorflow as tf

    shape = tf.shape(example["images"])
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    enlarged = tf.abs(tf.linalg.det(matrix[..., :2]))[:, tf.newaxis]  # (batch, 1)
    found: Example = {}
    if "instance_masks" in example:
        # The objects are the channels of one picture, so that they too are resampled in one go.
        masks = tf.cast(tf.transpose(example["instance_masks"], (0, 2, 3, 1)), tf.uint8)
        masks = tf.transpose(_resampled(masks, matrix, "NEAREST", 0), (0, 3, 1, 2)) > 0
        found["instance_masks"] = masks
        boxes = boxes_of_masks(masks)
        before, after = (
            tf.math.count_nonzero(values, axis=(2, 3), dtype=tf.float32)
            for values in (example["instance_masks"], masks)
        )
    else:
        x1, y1, x2, y2 = tf.unstack(example["boxes"], axis=-1)  # (batch, objects)
        corners = tf.stack([x1, y1, x2, y1, x2, y2, x1, y2], axis=-1)
        corners = tf.reshape(corners, tf.concat([tf.shape(x1), [4, 2]], axis=0))
        corners = move_points(corners, matrix)
        low, high = tf.reduce_min(corners, axis=2), tf.reduce_max(corners, axis=2)
        # How much a box grows by being turned is no part of what is left of the object.
        whole = tf.reduce_prod(high - low, axis=-1)
        size = tf.stack([width, height])
        low, high = tf.clip_by_value(low, 0.0, size), tf.clip_by_value(high, 0.0, size)
        boxes = tf.concat([low, high], axis=-1)
        before, after = whole / enlarged, tf.reduce_prod(high - low, axis=-1)
    kept = (example["labels"] >= 0) & (after > 0) & (after >= KEEP * enlarged * before)
    found["boxes"] = tf.where(kept[..., tf.newaxis], boxes, tf.zeros_like(boxes))
    found["labels"] = tf.where(kept, example["labels"], -tf.ones_like(example["labels"]))
    if "crowd" in example:
        found["crowd"] = example["crowd"] & kept
    if "instance_masks" in found:
        found["instance_masks"] &= kept[..., tf.newaxis, tf.newaxis]
    if "keypoints" in example:
        places = move_points(example["keypoints"][..., :2], matrix)
        inside = tf.reduce_all((places >= 0) & (places < tf.stack([width, height])), axis=-1)
        visible = example["keypoints"][..., 2] * tf.cast(inside, tf.float32)
        keypoints = tf.concat([places, visible[..., tf.newaxis]], axis=-1)
        known = kept[..., tf.newaxis, tf.newaxis]
        found["keypoints"] = tf.where(known, keypoints, tf.zeros_like(keypoints))
    return found


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
