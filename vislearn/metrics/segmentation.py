"""Intersection over union of classes, and the share of right pixels.

While training as Keras metrics of logits, `MeanIoU` and `PixelAccuracy`; for decoded answers from
a confusion matrix in NumPy. Both leave out pixels of the class number 255, and of a mask larger
than the answer all but the centre.
"""

import keras
import numpy as np
from keras import ops

from vislearn.ops.masks import IGNORE, centre_crop


def pixel_confusion(predicted: np.ndarray, masks: np.ndarray, classes: int) -> np.ndarray:
    """How many pixels of each class were given each class.

    Args:
        predicted: `(n, height, width)` class numbers of the answer.
        masks: `(n, rows, columns)` true class numbers, 255 where a pixel doesn't count.
        classes: Number of classes.

    Returns:
        `(classes, classes)` int64: true classes in the rows, predicted ones in the columns.

    Raises:
        ValueError: If an array holds a number that is no class.
    """
    masks = centre_crop(masks, *predicted.shape[1:])
    counts = masks != IGNORE
    true, found = masks[counts].astype(np.int64), predicted[counts].astype(np.int64)
    for name, numbers in (("masks", true), ("predicted", found)):
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < classes:
            raise ValueError(
                f"{name} holds class numbers from {numbers.min()} to {numbers.max()}, and the "
                f"classes are 0 to {classes - 1}."
            )
    return np.bincount(true * classes + found, minlength=classes**2).reshape(classes, classes)


def intersection_over_union(matrix: np.ndarray) -> np.ndarray:
    """Of each class: the pixels that answer and truth share, over those that either has.

    Args:
        matrix: What `pixel_confusion` returns, or a sum of such matrices.

    Returns:
        `(classes,)` float64, 0 to 1; NaN for a class that neither has.
    """
    shared = np.diag(matrix)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - shared
    return np.where(either > 0, shared / np.maximum(either, 1), np.nan)


def summary(matrix: np.ndarray) -> dict[str, float]:
    """`mean_iou` over the classes that occur, and `pixel_accuracy`; NaN if no pixel counts."""
    if not matrix.any():
        return {"mean_iou": float("nan"), "pixel_accuracy": float("nan")}
    return {
        "mean_iou": float(np.nanmean(intersection_over_union(matrix))),
        "pixel_accuracy": float(np.trace(matrix) / matrix.sum()),
    }


@keras.saving.register_keras_serializable("vislearn")
class MeanIoU(keras.metrics.MeanIoU):
    """Mean intersection over union of the classes that occur, from logits.

    Keras's metric, for masks larger than the logits too.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int, name: str = "mean_iou", dtype=None):
        super().__init__(
            num_classes=num_classes,
            name=name,
            dtype=dtype,
            ignore_class=IGNORE,
            sparse_y_pred=False,
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(centre_crop(y_true, *y_pred.shape[1:3]), y_pred, sample_weight)

    def get_config(self):
        return {"num_classes": self.num_classes, "name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable("vislearn")
class PixelAccuracy(keras.metrics.Mean):
    """Share of the pixels that count whose class is right, from logits."""

    def __init__(self, name: str = "pixel_accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        masks = ops.cast(centre_crop(y_true, *y_pred.shape[1:3]), "int32")
        right = ops.cast(ops.argmax(y_pred, axis=-1), "int32") == masks
        counts = ops.cast(masks != IGNORE, self.dtype)
        if sample_weight is not None:  # (batch,)
            counts = counts * ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1, 1))
        return super().update_state(right, counts)
