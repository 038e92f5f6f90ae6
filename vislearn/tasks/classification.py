"""Image classification: one class a picture."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from vislearn.tasks.base import (
    TOLERANCE,
    Arrays,
    Comparison,
    Meaning,
    Section,
    Task,
    differences,
    refuse_activation,
)


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """What a classifier learns from, is measured by, and answers.

    Attributes:
        classes: Names of the classes, in the order of the network's outputs.
        family: Not asked for.

    Raises:
        ValueError: If there are fewer than two classes, or two of one name.
    """

    name: ClassVar[str] = "classification"
    metric: ClassVar[str] = "accuracy"
    verb: ClassVar[str] = "classify"
    names_loss: ClassVar[bool] = True
    smooths_labels: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        if len(self.classes) < 2:
            raise ValueError(f"classes={self.classes!r}: a classifier needs at least two.")

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return example["images"], example["labels"]

    def loss(self, recipe):
        """Cross entropy on logits, or the loss that the recipe names.

        Raises:
            ValueError: If the recipe mixes images, and the loss takes no mixed labels.
        """
        from vislearn.data.augmentation import get_augmentation
        from vislearn.losses import ClassificationLoss
        from vislearn.losses.classification import OF_DISTRIBUTIONS

        name, augmentation = recipe.loss or "log", get_augmentation(recipe.augment)
        if name not in OF_DISTRIBUTIONS and getattr(augmentation, "mixes", False):
            raise ValueError(
                f"loss={name!r} takes a single class, and augment={recipe.augment!r} mixes "
                f"images: mixed labels need one of {sorted(OF_DISTRIBUTIONS)}."
            )
        return ClassificationLoss(name, recipe.label_smoothing, recipe.objective)

    def metrics(self) -> list:
        """Top-1 accuracy, and top-5 where there are more than five classes."""
        from vislearn.metrics.classification import ClassAccuracy, TopKClassAccuracy

        found = [ClassAccuracy(name="accuracy")]
        if len(self.classes) > 5:
            found.append(TopKClassAccuracy(5, name="top5_accuracy"))
        return found

    def meanings(self, network) -> dict[str, Meaning]:
        del network
        each = "probability of each class, in the order of the classes; they sum to 1"
        last = len(self.classes) - 1
        return {
            "scores": Meaning(each, (0, 1), "probability"),
            "class_id": Meaning("number of the likeliest class", (0, last), "class number"),
        }

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

    def check_model(self, network) -> None:
        if network.output_shape != (None, len(self.classes)):
            raise ValueError(
                f"model has the output shape {network.output_shape}, and task has "
                f"{len(self.classes)} classes: it must be (None, {len(self.classes)})."
            )
        refuse_activation(getattr(network.layers[-1], "activation", None), "softmax")

    def compare(self, expected: Arrays, actual: Arrays) -> Comparison:
        """A class may differ where Keras's scores tie within the tolerance."""
        scores, class_id = expected["scores"], actual["class_id"]
        differs = class_id != expected["class_id"]
        known = (class_id >= 0) & (class_id < scores.shape[-1])
        chosen = scores[np.arange(len(scores)), np.where(known, class_id, 0)]
        tied = known & (scores.max(axis=-1) - chosen <= TOLERANCE)
        return Comparison(
            differences(expected, actual),
            float(np.mean(~differs)),
            int(np.count_nonzero(differs & ~tied)),
        )

    def check_truth(self, truth: Arrays) -> None:
        count, labels = len(truth["images"]), np.asarray(truth.get("labels"))
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels must be {count} integers, one an image, and are {labels.dtype.name} "
                f"of shape {labels.shape}."
            )
        if not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(
                f"labels must lie in 0..{len(self.classes) - 1}, and lie in "
                f"{labels.min()}..{labels.max()}."
            )

    def measure(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """`accuracy`, `top5_accuracy` where there are more than five classes, and `macro_figures`.

        Args:
            answers: What `decode` returns, as arrays.
            truth: `labels`, `(batch,)` class numbers.
        """
        from vislearn.metrics.classification import confusion_matrix, macro_figures

        labels, class_id = np.asarray(truth["labels"]), answers["class_id"]
        found = {"accuracy": float(np.mean(class_id == labels))}
        if len(self.classes) > 5:
            best = np.argpartition(answers["scores"], -5, axis=-1)[:, -5:]  # (batch, 5)
            found["top5_accuracy"] = float(np.mean(np.any(best == labels[:, None], axis=-1)))
        return found | macro_figures(confusion_matrix(labels, class_id, len(self.classes)))

    def sections(self, network, answers, truth) -> list[Section]:
        """None: the report knows more about classifiers than a figure can say."""
        return []

    def draw(self, images, answers: Arrays, truth: Arrays | None, titles=None, top: int = 3):
        from vislearn import pictures

        labels = None if truth is None else list(truth["labels"])
        return pictures.prediction_grid(
            images, answers["scores"], self.classes, labels=labels, titles=titles, top=top
        )

    def describe(self, answers: Arrays, index: int, top: int = 3) -> list[tuple[str, float]]:
        scores = answers["scores"][index]
        best = np.argsort(-scores, kind="stable")[:top]
        return [(self.classes[number], float(scores[number])) for number in best]

    def true_label(self, truth: Arrays, index: int) -> str:
        return self.classes[truth["labels"][index]]

    def record(self, answers: Arrays, truth: Arrays | None, index: int, found) -> dict[str, Any]:
        known = {} if truth is None else {"true": self.true_label(truth, index)}
        return {"label": found[0][0], "score": found[0][1], "top": dict(found), **known}
