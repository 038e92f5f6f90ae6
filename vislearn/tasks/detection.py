"""Object detection: boxes with a class each, as many as there are objects."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from vislearn.metrics.boxes import iou, match
from vislearn.tasks.base import (
    TOLERANCE,
    Arrays,
    Comparison,
    Meaning,
    Section,
    Task,
    refuse_activation,
    with_options,
)


@dataclasses.dataclass(frozen=True)
class Detection(Task):
    """What a dense detector learns from, is measured by, and answers.

    The network scores every class at every anchor and says how the object lies relative to the
    anchor: `logits` `(batch, anchors, classes)`, `deltas` and `anchors` `(batch, anchors, 4)`, and
    `image_size` `(batch, 2)` if boxes are to be cut off at the edges of the image.

    Attributes:
        classes: Names of the classes, in the order of the network's outputs.
        family: Not asked for.
        score_threshold: Least score of a detection. Average precision counts unsure detections,
            too; a program that shows boxes rather takes those above 0.3 to 0.5.
        iou_threshold: Of two boxes of a class that overlap more, the worse is dropped.
        max_detections: Rows of the answer: most detections a picture.
        candidates: Number of best (anchor, class) pairs that are looked at.

    Raises:
        ValueError: If there is no class or two of one name, or if a number is out of range.
    """

    score_threshold: float = 0.05
    iou_threshold: float = 0.5
    max_detections: int = 100
    candidates: int = 400

    name: ClassVar[str] = "detection"
    metric: ClassVar[str] = "map50"
    verb: ClassVar[str] = "detect"
    measures_answers: ClassVar[bool] = True
    resize: ClassVar[str] = "stretch"

    def __post_init__(self):
        super().__post_init__()
        if not self.classes:
            raise ValueError("classes is empty: a detector needs at least one.")
        for name in ("score_threshold", "iou_threshold"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value!r} must be between 0 and 1.")
        if not 1 <= self.max_detections <= self.candidates:
            raise ValueError(
                f"max_detections={self.max_detections!r} must be at least 1, and at most "
                f"candidates={self.candidates!r}."
            )

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        names = ("boxes", "labels", "crowd")
        return example["images"], {name: example[name] for name in names if name in example}

    def objective(self, network, recipe):
        """Focal loss and box loss, with the options of `recipe.objective`."""
        from vislearn.losses import RetinaNetObjective

        return with_options(RetinaNetObjective, recipe.objective)

    def meanings(self, network) -> dict[str, Meaning]:
        corners = (
            "x1, y1, x2, y2 in pixels of the input, x to the right and y down; zeros after "
            "the last detection"
        )
        score = "score of each detection, 0 to 1, the surest first; 0 after the last"
        # Boxes are cut off at the edges of the picture where the network tells its size.
        cut = (0, max(network.input_shape[1:3])) if "image_size" in network.output else None
        last = len(self.classes) - 1
        return {
            "boxes": Meaning(corners, cut, "pixels"),
            "scores": Meaning(score, (0, 1), "score"),
            "classes": Meaning(
                "number of its class; -1 after the last", (-1, last), "class number"
            ),
            "count": Meaning("number of detections", (0, self.max_detections), "detections"),
        }

    def decode(self, outputs) -> dict[str, Any]:
        """From raw outputs to detections, in operations that every export format has.

        Args:
            outputs: What the network gives, see above.

        Returns:
            With k = `max_detections` (fewer where there are fewer anchors times classes), the
            surest first:
            `boxes`: `(batch, k, 4)` float32, x1, y1, x2, y2 in pixels;
            `scores`: `(batch, k)` float32, 0 to 1;
            `classes`: `(batch, k)` int32;
            `count`: `(batch,)` int32, how many rows are detections; the others are 0, class -1.
        """
        from keras import ops

        from vislearn.ops import boxes as box_ops
        from vislearn.ops.gather import gather_rows
        from vislearn.ops.nms import non_max_suppression

        logits = ops.cast(outputs["logits"], "float32")
        anchors, classes = logits.shape[1:]
        # The best pairs lie in the anchors of the best scores: at most one anchor a pair.
        likely = min(self.candidates, anchors)
        _, place = ops.top_k(ops.max(logits, axis=-1), k=likely)  # (batch, likely)
        pairs = ops.reshape(gather_rows(logits, place), (-1, likely * classes))
        logits, pair = ops.top_k(pairs, k=min(self.candidates, likely * classes))
        label = pair % classes  # (batch, candidates)
        place = gather_rows(place, pair // classes)

        anchor = ops.cast(gather_rows(outputs["anchors"], place), "float32")
        deltas = ops.cast(gather_rows(outputs["deltas"], place), "float32")
        boxes = box_ops.decode(deltas, anchor)  # (batch, candidates, 4)
        if "image_size" in outputs:
            size = outputs["image_size"]
            boxes = box_ops.clip(boxes, size[:, :1], size[:, 1:])
        # A box that lies beside the image is cut down to nothing, and is no answer.
        scores = ops.where(box_ops.area(boxes) > 0, ops.sigmoid(logits), 0.0)
        index, kept = non_max_suppression(
            boxes,
            scores,
            label,
            iou_threshold=self.iou_threshold,
            score_threshold=self.score_threshold,
            max_outputs=self.max_detections,
        )
        return {
            "boxes": ops.where(ops.expand_dims(kept, -1), gather_rows(boxes, index), 0.0),
            "scores": ops.where(kept, gather_rows(scores, index), 0.0),
            "classes": ops.cast(ops.where(kept, gather_rows(label, index), -1), "int32"),
            "count": ops.sum(ops.cast(kept, "int32"), axis=-1),
        }

    def check_model(self, network) -> None:
        outputs = network.output
        if not isinstance(outputs, dict) or not {"logits", "deltas", "anchors"} <= outputs.keys():
            found = sorted(outputs) if isinstance(outputs, dict) else network.output_shape
            raise ValueError(
                f"model gives {found}, and task 'detection' takes a dictionary with logits, "
                "deltas and anchors."
            )
        if outputs["logits"].shape[-1] != len(self.classes):
            raise ValueError(
                f"model has logits of the shape {outputs['logits'].shape}, and task has "
                f"{len(self.classes)} classes: the last axis must be as long."
            )
        last = outputs["logits"]._keras_history.operation
        refuse_activation(getattr(last, "activation", None), "sigmoid")

    def compare(self, expected: Arrays, actual: Arrays) -> Comparison:
        """Pairs the detections of both, of one class and at one place.

        A detection may be without a partner where rounding decides: its score ties with the
        threshold or with the last that found room, or a box of the other side overlaps it by the
        threshold, or as much as suppresses it with the same score.

        The difference of boxes is that of their coordinates as a share of the largest.
        """
        gaps = {"boxes": 0.0, "scores": 0.0}
        extent = max(1.0, float(np.abs(expected["boxes"]).max(initial=0.0)))
        paired = total = unexplained = 0
        for index in range(len(expected["count"])):
            sides = [_Found.of(answers, index) for answers in (expected, actual)]
            first, second = _pair(*sides)
            paired += 2 * len(first)
            total += sum(len(side.scores) for side in sides)
            for name in gaps:
                ours, theirs = getattr(sides[0], name)[first], getattr(sides[1], name)[second]
                gap = np.abs(ours.astype(np.float64) - theirs).max(initial=0.0)
                gaps[name] = max(gaps[name], float(gap) / (extent if name == "boxes" else 1))
            for side, other, partners in ((*sides, first), (*sides[::-1], second)):
                alone = np.setdiff1d(np.arange(len(side.scores)), partners)
                unexplained += sum(not self._tied(side, row, other) for row in alone)
        return Comparison(gaps, paired / total if total else 1.0, unexplained)

    def _tied(self, side: "_Found", row: int, other: "_Found") -> bool:
        """Whether rounding may have dropped the detection `row` of `side` on the other side."""
        score = side.scores[row]
        if score - self.score_threshold <= TOLERANCE:
            return True
        for found in (side, other):
            full = len(found.scores) == self.max_detections
            if full and score - found.scores.min() <= TOLERANCE:
                return True
        rival = other.classes == side.classes[row]
        overlap = iou(side.boxes[row : row + 1], other.boxes[rival])[0]
        at_threshold = np.abs(overlap - self.iou_threshold) <= 10 * TOLERANCE
        same_score = np.abs(other.scores[rival] - score) <= TOLERANCE
        return bool(np.any(at_threshold | (same_score & (overlap > self.iou_threshold))))

    def check_truth(self, truth: Arrays) -> None:
        count = len(truth["images"])
        boxes, labels = np.asarray(truth.get("boxes")), np.asarray(truth.get("labels"))
        if labels.ndim != 2 or len(labels) != count or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels must be integers of the shape ({count}, objects), and are "
                f"{labels.dtype.name} of shape {labels.shape}."
            )
        if boxes.shape != (*labels.shape, 4):
            raise ValueError(f"boxes must have the shape {(*labels.shape, 4)}, not {boxes.shape}.")
        if labels.size and not -1 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(
                f"labels must lie in 0..{len(self.classes) - 1}, or be -1 for no object, and lie "
                f"in {labels.min()}..{labels.max()}."
            )
        wrong = (labels >= 0) & ~np.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        if np.any(wrong):
            image, row = np.argwhere(wrong)[0]
            raise ValueError(
                f"boxes[{image}, {row}]={boxes[image, row].tolist()} has no area: x1, y1, x2, y2 "
                "with x1 < x2 and y1 < y2 is the rule."
            )

    def measure(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """COCO's average precision over the classes that the truth has, 0 to 1.

        With up to `max_detections` detections a picture: `map50` at an intersection over union of
        0.5, `map` the mean over 0.50, 0.55, ..., 0.95, and `map75` at 0.75.

        Args:
            answers: What `decode` returns, as arrays.
            truth: `boxes` `(n, objects, 4)`, `labels` `(n, objects)`, perhaps `crowd`.

        Raises:
            ValueError: If the truth holds no object.
        """
        precision = self.class_precision(answers, truth)  # (10, classes)
        if np.all(np.isnan(precision)):
            raise ValueError("truth holds no object: average precision is not defined.")
        of_thresholds = np.nanmean(precision, axis=1)
        return {
            "map50": float(of_thresholds[0]),
            "map": float(of_thresholds.mean()),
            "map75": float(of_thresholds[5]),
        }

    def class_precision(self, answers: Arrays, truth: Arrays) -> np.ndarray:
        """Average precision of each class: `(10, classes)`, see `metrics.coco`."""
        from vislearn.metrics.coco import average_precision

        return average_precision(answers, truth, len(self.classes))

    def sections(self, network, answers: Arrays | None, truth: Arrays | None) -> list[Section]:
        """Precision by class, and the pictures with the most mistakes; nothing without answers."""
        from vislearn import pictures

        if answers is None:
            return []

        images = truth["images"]
        precision = self.class_precision(answers, truth)
        bars = pictures.precision_bars(precision[0], precision.mean(axis=0), self.classes)
        wrong = self._mistakes(answers, truth)
        worst = np.argsort(-wrong, kind="stable")[: min(12, int(np.count_nonzero(wrong)))]
        found = [
            Section(
                "Average precision by class",
                "At an intersection over union of 0.5, and the mean over 0.5 to 0.95 (dark).",
                bars,
            )
        ]
        if len(worst):
            chosen = [{key: value[worst] for key, value in d.items()} for d in (answers, truth)]
            titles = [f"{wrong[index]} mistakes" for index in worst]
            found.append(
                Section(
                    "Pictures with the most mistakes",
                    f"Objects not found and detections of score {SHOWN:g} or more that are none: "
                    f"{int(wrong.sum())} in {len(images)} pictures.",
                    self.draw(images[worst], *chosen, titles=titles),
                )
            )
        return found

    def _mistakes(self, answers: Arrays, truth: Arrays) -> np.ndarray:
        """Objects missed plus detections of no object, a picture: `(n,)`."""
        wrong = []
        for index in range(len(answers["count"])):
            found = _Found.of(answers, index, SHOWN)
            objects = _objects(truth, index)
            right = np.count_nonzero(match(found.boxes, found.classes, *objects) >= 0)
            wrong.append(len(found.boxes) + len(objects[0]) - 2 * right)
        return np.array(wrong, int)

    def draw(self, images, answers: Arrays, truth: Arrays | None, titles=None):
        """Boxes of score 0.3 and more; beside the truth, what is missing and what is wrong."""
        from vislearn import pictures

        found = [_Found.of(answers, index, SHOWN) for index in range(len(images))]
        expected = None
        if truth is not None:
            expected = [_objects(truth, index) for index in range(len(images))]
        return pictures.detection_grid(
            images,
            [(one.boxes, one.classes, one.scores) for one in found],
            self.classes,
            truth=expected,
            titles=titles,
        )

    def describe(self, answers: Arrays, index: int, top: int = 3) -> list[tuple[str, float]]:
        found = _Found.of(answers, index)
        names = [self.classes[number] for number in found.classes[:top]]
        return list(zip(names, map(float, found.scores[:top]), strict=True))

    def record(self, answers: Arrays, truth: Arrays | None, index: int, found) -> dict[str, Any]:
        """Each object with its box, x1, y1, x2, y2."""
        del truth
        boxes = _Found.of(answers, index).boxes[: len(found)].tolist()
        return {
            "objects": [
                {"label": label, "score": score, "box": box}
                for (label, score), box in zip(found, boxes, strict=True)
            ]
        }


# Least score of the boxes that are drawn and counted as mistakes.
SHOWN = 0.3


@dataclasses.dataclass(frozen=True)
class _Found:
    """The detections of one picture, without the rows that fill up."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, answers: Arrays, index: int, least: float = 0.0) -> "_Found":
        count = int(answers["count"][index])
        count = int(np.count_nonzero(answers["scores"][index, :count] >= least))
        return cls(*(answers[name][index, :count] for name in ("boxes", "scores", "classes")))


def _objects(truth: Arrays, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and classes of the objects of one picture, without crowds."""
    real = truth["labels"][index] >= 0
    if "crowd" in truth:
        real = real & ~truth["crowd"][index].astype(bool)
    return truth["boxes"][index][real], truth["labels"][index][real]


def _pair(ours: _Found, theirs: _Found) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both sides that are the same detection: of one class, at one place (to a hundredth).

    Each takes the free partner of the nearest score among those at its place.
    """
    apart = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=-1)  # (ours, theirs)
    near = apart <= 0.01 * max(1.0, float(np.abs(ours.boxes).max(initial=0.0)))
    same = near & (ours.classes[:, None] == theirs.classes[None])
    gap = np.where(same, np.abs(ours.scores[:, None] - theirs.scores[None]), np.inf)
    pairs = []
    for row in range(len(ours.scores)):
        if not np.isfinite(gap[row]).any():
            continue
        partner = int(gap[row].argmin())
        pairs.append((row, partner))
        gap[:, partner] = np.inf
    pairs = np.array(pairs, int).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
