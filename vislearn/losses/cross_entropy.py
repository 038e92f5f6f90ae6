"""Cross entropy of class numbers with label smoothing."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class SparseCategoricalCrossentropy(keras.losses.Loss):
    """Cross entropy of logits against class numbers, smoothed (Szegedy 2016, arXiv:1512.00567).

    The target distribution is `1 - label_smoothing` on the true class plus `label_smoothing`
    spread evenly over all classes. Keras smooths one-hot labels only.

    Args:
        label_smoothing: Probability mass spread over all classes, 0 to 1.

    Shape: labels `(batch,)` integers, logits `(batch, classes)`; the loss of each example
        `(batch,)` before reduction, in float32.

    Raises:
        ValueError: If `label_smoothing` is out of range.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing!r} must be between 0 and 1.")
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        log_probabilities = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        classes = log_probabilities.shape[-1]
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))  # (batch,)
        target = ops.one_hot(labels, classes, dtype="float32")  # (batch, classes)
        target = target * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        return -ops.sum(target * log_probabilities, axis=-1)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
