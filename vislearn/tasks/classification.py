"""Image classification: one class a picture."""

import dataclasses
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Classification:
    """What a classifier learns from, is measured by, and answers.

    Attributes:
        classes: Names of the classes, in the order of the network's outputs.
    """

    classes: tuple[str, ...]

    name: ClassVar[str] = "classification"
    # The metric that early stopping watches and that int8 files are judged by.
    metric: ClassVar[str] = "accuracy"
    metric_mode: ClassVar[str] = "max"

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(self.classes) < 2:
            raise ValueError(f"classes={self.classes!r}: a classifier needs at least two.")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes={self.classes!r} holds a name twice.")

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        """From a dictionary of the data set to the `(x, y)` of `model.fit`."""
        return example["images"], example["labels"]

    def loss(self, label_smoothing: float = 0.0):
        """Cross entropy on logits."""
        from vislearn.losses import SparseCategoricalCrossentropy

        return SparseCategoricalCrossentropy(label_smoothing)

    def metrics(self) -> list:
        """Top-1 accuracy, and top-5 where there are more than five classes."""
        import keras

        found = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        if len(self.classes) > 5:
            found.append(keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5_accuracy"))
        return found

    def decode(self, outputs) -> dict[str, Any]:
        """From logits to named answers, in operations that every export format has.

        Args:
            outputs: `(batch, classes)` logits.

        Returns:
            `scores`: `(batch, classes)` float32, the probabilities, which sum to 1;
            `class_id`: `(batch,)` int32, the number of the likeliest class.
        """
        from keras import ops

        scores = ops.softmax(ops.cast(outputs, "float32"), axis=-1)
        # top_k rather than argmax: Keras's argmax does not convert to LiteRT's built-in operations.
        _, best = ops.top_k(scores, k=1)  # (batch, 1)
        return {"scores": scores, "class_id": ops.cast(best[:, 0], "int32")}

    def measure(self, answers: dict[str, Any], labels) -> dict[str, float]:
        """The metrics of decoded answers.

        Args:
            answers: What `decode` returns, as arrays.
            labels: `(batch,)` class numbers.

        Returns:
            `accuracy`, and `top5_accuracy` where there are more than five classes, 0 to 1.
        """
        import numpy as np

        found = {"accuracy": float(np.mean(answers["class_id"] == labels))}
        if len(self.classes) > 5:
            best = np.argpartition(answers["scores"], -5, axis=-1)[:, -5:]  # (batch, 5)
            found["top5_accuracy"] = float(np.mean(np.any(best == labels[:, None], axis=-1)))
        return found
