"""What classifiers are measured by: accuracies while training, and figures by class."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class ClassAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of images whose likeliest class is right; of a distribution that is its mode.

    Shape: labels `(batch,)` or distributions `(batch, classes)`, outputs `(batch, classes)`.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(_class_numbers(y_true, y_pred), y_pred, sample_weight)


@keras.saving.register_keras_serializable("vislearn")
class TopKClassAccuracy(keras.metrics.SparseTopKCategoricalAccuracy):
    """Share of images whose class is among the k likeliest; of a distribution that is its mode.

    Shape: labels `(batch,)` or distributions `(batch, classes)`, outputs `(batch, classes)`.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(_class_numbers(y_true, y_pred), y_pred, sample_weight)


def _class_numbers(labels, outputs):
    distributions = len(labels.shape) == 2 and labels.shape[-1] == outputs.shape[-1]
    return ops.argmax(labels, axis=-1) if distributions else labels


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often each class was taken for each.

    Args:
        labels, predicted: `(n,)` class numbers.
        classes: How many there are.

    Returns:
        `(classes, classes)` int64, a row a true class, a column a predicted one.

    Raises:
        ValueError: If a number is no class.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    for name, numbers in (("labels", labels), ("predicted", predicted)):
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < classes:
            raise ValueError(
                f"{name} lie in {numbers.min()}..{numbers.max()}, and must in 0..{classes - 1}."
            )
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_figures(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class.

    Args:
        confusion: What `confusion_matrix` returns.

    Returns:
        `precision`, of what was taken for the class, the share that is of it; `recall`, of what is
        of the class, the share that was found; `f1`, their harmonic mean. Each is `(classes,)`, NaN
        where there is nothing to take a share of.
    """
    right = np.diagonal(confusion).astype(float)
    taken, there = confusion.sum(axis=0), confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return {
            "precision": right / taken,
            "recall": right / there,
            "f1": 2 * right / (taken + there),
        }


def macro_figures(confusion: np.ndarray) -> dict[str, float]:
    """The means over the classes: each counts alike, however many images it has.

    Of the classes that are met among labels or answers; a share of nothing counts as 0, as in
    scikit-learn.

    Args:
        confusion: What `confusion_matrix` returns, of at least one image.

    Returns:
        `macro_precision`, `macro_recall` and `macro_f1`.
    """
    met = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return {
        f"macro_{name}": float(np.nan_to_num(values[met]).mean())
        for name, values in class_figures(confusion).items()
    }
