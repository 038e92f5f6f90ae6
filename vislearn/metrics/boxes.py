"""Boxes in NumPy, for what is measured and drawn where no backend runs."""

import numpy as np


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `(n, 4)` with others `(m, 4)`: `(n, m)`, 0 to 1."""
    boxes, others = np.float64(boxes)[:, None], np.float64(others)[None]
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(np.maximum(b[..., 2:] - b[..., :2], 0), axis=-1) for b in (boxes, others)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-7)


def match(boxes, classes, true_boxes, true_classes, least: float = 0.5) -> np.ndarray:
    """Gives each detection the object of its class that it overlaps most and that is still free.

    Args:
        boxes: `(n, 4)`, the surest first.
        classes: `(n,)`.
        true_boxes: `(m, 4)`.
        true_classes: `(m,)`.
        least: Least intersection over union.

    Returns:
        `(n,)` rows of the objects, -1 for a detection without one.
    """
    overlap = iou(boxes, true_boxes)
    overlap[np.asarray(classes)[:, None] != np.asarray(true_classes)[None]] = 0
    found = np.full(len(boxes), -1)
    for row in range(len(boxes) if len(true_boxes) else 0):
        best = overlap[row].argmax()
        if overlap[row, best] >= least:
            found[row] = best
            overlap[:, best] = 0
    return found
