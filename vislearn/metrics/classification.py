"""Accuracies on class numbers, and on the distributions that mixtures of images have for labels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class SparseCategoricalAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of images whose likeliest class is right; of a distribution that is its mode.

    Shape: labels `(batch,)` or distributions `(batch, classes)`, outputs `(batch, classes)`.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(_class_numbers(y_true, y_pred), y_pred, sample_weight)


@keras.saving.register_keras_serializable("vislearn")
class SparseTopKCategoricalAccuracy(keras.metrics.SparseTopKCategoricalAccuracy):
    """Share of images whose class is among the k likeliest; of a distribution that is its mode.

    Shape: labels `(batch,)` or distributions `(batch, classes)`, outputs `(batch, classes)`.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(_class_numbers(y_true, y_pred), y_pred, sample_weight)


def _class_numbers(labels, outputs):
    distributions = len(labels.shape) == 2 and labels.shape[-1] == outputs.shape[-1]
    return ops.argmax(labels, axis=-1) if distributions else labels
