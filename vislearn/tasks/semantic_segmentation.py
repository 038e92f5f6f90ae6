"""Semantic segmentation: a class for each pixel."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from vislearn.ops.masks import IGNORE, centre_crop
from vislearn.tasks.base import (
    TOLERANCE,
    Arrays,
    Comparison,
    Meaning,
    Task,
    differences,
    refuse_activation,
    with_options,
)


@dataclasses.dataclass(frozen=True)
class SemanticSegmentation(Task):
    """What a segmenter learns from, is measured by, and answers.

    Masks hold class numbers; pixels of the number 255 are neither learned nor counted. A network
    whose answer is smaller than the image (U-Net's valid convolutions) answers for the centre:
    loss, metrics, measurement and drawing take the centre of the mask.

    Attributes:
        classes: Names of the classes, in the order of the network's outputs.
        family: Not asked for.

    Raises:
        ValueError: If there are fewer than two classes, more than 255, or two of one name.
    """

    name: ClassVar[str] = "semantic_segmentation"
    metric: ClassVar[str] = "mean_iou"
    verb: ClassVar[str] = "segment"
    smooths_labels: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        if not 2 <= len(self.classes) <= IGNORE:
            raise ValueError(
                f"classes holds {len(self.classes)} names: segmentation takes 2 to {IGNORE}."
            )

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return example["images"], example["masks"]

    def loss(self, recipe):
        """Cross entropy of the pixels, Dice and Jaccard loss, weighted by `recipe.objective`."""
        from vislearn.losses import SegmentationLoss

        smoothing = recipe.label_smoothing
        return with_options(SegmentationLoss, recipe.objective, label_smoothing=smoothing)

    def metrics(self) -> list:
        from vislearn.metrics.segmentation import MeanIoU, PixelAccuracy

        return [MeanIoU(len(self.classes)), PixelAccuracy()]

    def meanings(self, network) -> dict[str, Meaning]:
        del network
        each, last = "number of the likeliest class of each pixel", len(self.classes) - 1
        return {
            "mask": Meaning(each, (0, last), "class number"),
            "confidence": Meaning("probability of this class", (0, 1), "probability"),
        }

    def decode(self, outputs) -> dict[str, Any]:
        """From logits to named answers, in operations that every export format has.

        Args:
            outputs: `(batch, height, width, classes)` logits.

        Returns:
            `mask`: `(batch, height, width)` int32, the number of the likeliest class;
            `confidence`: `(batch, height, width)` float32, its probability.
        """
        from keras import ops

        scores = ops.softmax(ops.cast(outputs, "float32"), axis=-1)
        # Keras's argmax does not convert to LiteRT's built-in operations; top_k does, and there it
        # is as fast as comparing with the maximum.
        best, number = ops.top_k(scores, k=1)  # (batch, height, width, 1)
        return {"mask": ops.cast(number[..., 0], "int32"), "confidence": best[..., 0]}

    def check_model(self, network) -> None:
        shape = network.output_shape
        if len(shape) != 4 or shape[-1] != len(self.classes):
            raise ValueError(
                f"model has the output shape {shape}, and task has {len(self.classes)} classes: "
                f"it must be (None, height, width, {len(self.classes)})."
            )
        refuse_activation(getattr(network.layers[-1], "activation", None), "softmax")

    def compare(self, expected: Arrays, actual: Arrays) -> Comparison:
        """The class of a pixel may differ where another one can be as likely.

        Where two classes tie, their probabilities are the same within the tolerance, in both files,
        and neither is above one half.
        """
        differs = actual["mask"] != expected["mask"]
        known = (actual["mask"] >= 0) & (actual["mask"] < len(self.classes))
        confidence = expected["confidence"]
        close = np.abs(confidence - actual["confidence"]) <= TOLERANCE
        tied = known & close & (confidence <= 0.5 + TOLERANCE)
        return Comparison(
            differences(expected, actual),
            float(np.mean(~differs)),
            int(np.count_nonzero(differs & ~tied)),
        )

    def check_truth(self, truth: Arrays) -> None:
        shape, masks = truth["images"].shape[:3], np.asarray(truth.get("masks"))
        if masks.shape != shape or not np.issubdtype(masks.dtype, np.integer):
            raise ValueError(
                f"masks must be integers of the shape {shape}, one a pixel, and are "
                f"{masks.dtype.name} of shape {masks.shape}."
            )
        counts = masks[masks != IGNORE]
        if counts.size and not 0 <= counts.min() <= counts.max() < len(self.classes):
            raise ValueError(
                f"masks must hold 0..{len(self.classes) - 1}, or {IGNORE} for pixels that don't "
                f"count, and hold {counts.min()}..{counts.max()}."
            )

    def measure(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """`mean_iou` over the classes that occur, and `pixel_accuracy`, 0 to 1.

        Args:
            answers: What `decode` returns, as arrays.
            truth: `masks`, `(batch, height, width)` class numbers.
        """
        from vislearn.metrics.segmentation import summary

        return summary(self._confusion(answers, truth))

    def iou_by_class(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """Intersection over union of each class by its name; NaN for one that does not occur."""
        from vislearn.metrics.segmentation import intersection_over_union

        values = intersection_over_union(self._confusion(answers, truth))
        return dict(zip(self.classes, map(float, values), strict=True))

    def _confusion(self, answers: Arrays, truth: Arrays) -> np.ndarray:
        from vislearn.metrics.segmentation import pixel_confusion

        return pixel_confusion(answers["mask"], truth["masks"], len(self.classes))

    def draw(self, images, answers: Arrays, truth: Arrays | None, titles=None):
        from vislearn import pictures

        height, width = answers["mask"].shape[1:]
        return pictures.segmentation_grid(
            [centre_crop(image[np.newaxis], height, width)[0] for image in images],
            answers["mask"],
            self.classes,
            true_masks=None if truth is None else centre_crop(truth["masks"], height, width),
            titles=titles,
        )

    def describe(self, answers: Arrays, index: int, top: int = 3) -> list[tuple[str, float]]:
        """The classes that cover most of the picture, each with its share of the pixels."""
        shares = self._shares(answers["mask"][index])
        best = [number for number in np.argsort(-shares, kind="stable") if shares[number] > 0]
        return [(self.classes[number], float(shares[number])) for number in best[:top]]

    def record(self, answers: Arrays, truth: Arrays | None, index: int, found) -> dict[str, Any]:
        known = {}
        if truth is not None:
            matrix = self._confusion(
                {"mask": answers["mask"][index : index + 1]},
                {"masks": truth["masks"][index : index + 1]},
            )
            right, counted = np.trace(matrix), matrix.sum()
            known = {"pixel_accuracy": float(right / counted) if counted else None}
        confidence = float(answers["confidence"][index].mean())
        return {"shares": dict(found), "mean_confidence": confidence, **known}

    def _shares(self, mask: np.ndarray) -> np.ndarray:
        return np.bincount(mask.ravel(), minlength=len(self.classes)) / mask.size
