"""Cross entropy with label smoothing."""

import keras

from vislearn.losses.classification import ClassificationLoss


@keras.saving.register_keras_serializable("vislearn")
class SparseCategoricalCrossentropy(ClassificationLoss):
    """Cross entropy of logits, smoothed: `ClassificationLoss("log")`, the usual loss.

    Unlike Keras's it smooths class numbers, and takes distributions as well, such as mixed labels.

    Args:
        label_smoothing: Probability mass spread over all classes, 0 to 1.

    Shape: class numbers `(batch,)` or distributions `(batch, classes)`, logits
        `(batch, classes)`; the loss of each example `(batch,)` before reduction, in float32.

    Raises:
        ValueError: If `label_smoothing` is out of range.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs):
        super().__init__("log", label_smoothing, name=name, **kwargs)

    def get_config(self):
        config = super().get_config()
        return {name: config[name] for name in ("name", "reduction", "label_smoothing")}
