"""Boxes: area, overlap, and how a network describes one relative to another.

A box is `(x1, y1, x2, y2)` in pixels, x to the right and y down, between the edges of pixels, so
that its width is `x2 - x1`. All functions work on any backend and compute in the type given.
"""

import math

from keras import ops

# exp of more would be a box of more than 1000 / 16 times the size of its anchor; the bound, and the
# numbers, are those of Detectron (torchvision keeps them): exp can't overflow early in training.
LARGEST_LOG_SIZE = math.log(1000 / 16)


def area(boxes):
    """Areas of boxes `(..., 4)`: `(...)`; 0 for an inverted box."""
    width = ops.maximum(boxes[..., 2] - boxes[..., 0], 0)
    height = ops.maximum(boxes[..., 3] - boxes[..., 1], 0)
    return width * height


def intersection(boxes, others):
    """Areas that each box shares with each of the others.

    Args:
        boxes: `(..., n, 4)`.
        others: `(..., m, 4)`.

    Returns:
        `(..., n, m)` in square pixels.
    """
    boxes, others = ops.expand_dims(boxes, -2), ops.expand_dims(others, -3)
    # One (..., n, m) tensor a coordinate: slices of an (..., n, m, 4) tensor would be slower.
    left = ops.maximum(boxes[..., 0], others[..., 0])
    top = ops.maximum(boxes[..., 1], others[..., 1])
    right = ops.minimum(boxes[..., 2], others[..., 2])
    bottom = ops.minimum(boxes[..., 3], others[..., 3])
    return ops.maximum(right - left, 0) * ops.maximum(bottom - top, 0)


def iou(boxes, others):
    """Intersection over union of each box with each of the others.

    Args:
        boxes: `(..., n, 4)`.
        others: `(..., m, 4)`.

    Returns:
        `(..., n, m)`, 0 to 1; 0 where either box has no area.
    """
    shared = intersection(boxes, others)
    union = ops.expand_dims(area(boxes), -1) + ops.expand_dims(area(others), -2) - shared
    return shared / ops.maximum(union, 1e-7)


def encode(boxes, anchors):
    """How each box lies relative to its anchor (R-CNN, arXiv:1311.2524, equations 6 to 9).

    Args:
        boxes: `(..., 4)`, each with an area.
        anchors: `(..., 4)`, each with an area.

    Returns:
        `(..., 4)`: the shift of the centre in x and y as a share of the anchor's size, and the
        logarithms of the ratios of width and height.
    """
    x, y, width, height = _centre_and_size(anchors)
    box_x, box_y, box_width, box_height = _centre_and_size(boxes)
    deltas = (
        (box_x - x) / width,
        (box_y - y) / height,
        ops.log(box_width / width),
        ops.log(box_height / height),
    )
    return ops.stack(deltas, axis=-1)


def decode(deltas, anchors):
    """The boxes that `encode` described; a box grows to 62.5 times its anchor at most.

    Args:
        deltas: `(..., 4)`.
        anchors: `(..., 4)`.

    Returns:
        `(..., 4)` boxes in pixels.
    """
    x, y, width, height = _centre_and_size(anchors)
    x = x + deltas[..., 0] * width
    y = y + deltas[..., 1] * height
    half_width = 0.5 * width * ops.exp(ops.minimum(deltas[..., 2], LARGEST_LOG_SIZE))
    half_height = 0.5 * height * ops.exp(ops.minimum(deltas[..., 3], LARGEST_LOG_SIZE))
    corners = (x - half_width, y - half_height, x + half_width, y + half_height)
    return ops.stack(corners, axis=-1)


def clip(boxes, height, width):
    """Boxes `(..., 4)` cut off at the edges of an image of this height and width."""
    corners = (
        ops.clip(boxes[..., 0], 0, width),
        ops.clip(boxes[..., 1], 0, height),
        ops.clip(boxes[..., 2], 0, width),
        ops.clip(boxes[..., 3], 0, height),
    )
    return ops.stack(corners, axis=-1)


def _centre_and_size(boxes):
    width = boxes[..., 2] - boxes[..., 0]
    height = boxes[..., 3] - boxes[..., 1]
    return boxes[..., 0] + 0.5 * width, boxes[..., 1] + 0.5 * height, width, height
