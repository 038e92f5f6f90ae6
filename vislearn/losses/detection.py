"""What dense detectors minimise."""

from keras import ops

from vislearn.losses.boxes import BOX_LOSSES
from vislearn.losses.focal import sigmoid_focal_loss
from vislearn.losses.smooth_l1 import smooth_l1
from vislearn.ops import boxes as box_ops
from vislearn.ops.gather import gather_rows
from vislearn.ops.matching import IGNORED, match_anchors


class RetinaNetObjective:
    """Focal loss over all anchors and a box loss over those with an object (arXiv:1708.02002).

    Both are sums over the batch divided by the number of anchors in it that have an object, as
    section 4.1 says; torchvision divides image by image. The box loss of the paper is smooth L1
    with a small `beta`; `beta=0` is torchvision's L1.

    Args:
        alpha, gamma: See `sigmoid_focal_loss`.
        box_loss: `"l1"`, on the encoded differences, or one of `BOX_LOSSES`, on the boxes;
            `"giou"` gives tighter boxes in short trainings.
        beta: Of `smooth_l1`.
        box_weight: Factor on the box loss.
        positive, negative, keep_best: See `match_anchors`.

    Raises:
        ValueError: If an argument is out of range.
    """

    parts = ("classification", "boxes")

    def __init__(
        self,
        *,
        alpha: float = 0.25,
        gamma: float = 2.0,
        box_loss: str = "l1",
        beta: float = 0.0,
        box_weight: float = 1.0,
        positive: float = 0.5,
        negative: float = 0.4,
        keep_best: bool = True,
    ):
        if not 0 <= alpha <= 1 or gamma < 0:
            raise ValueError(f"{alpha=} must be between 0 and 1, {gamma=} at least 0.")
        if box_loss not in ("l1", *BOX_LOSSES):
            raise ValueError(f"box_loss={box_loss!r} must be one of {('l1', *BOX_LOSSES)}.")
        if beta < 0 or box_weight < 0:
            raise ValueError(f"{beta=} and {box_weight=} must be at least 0.")
        if not 0 < negative <= positive <= 1:
            raise ValueError(f"0 < {negative=} <= {positive=} <= 1 must hold.")
        self.alpha, self.gamma = alpha, gamma
        self.box_loss, self.beta, self.box_weight = box_loss, beta, box_weight
        self.matching = {"positive": positive, "negative": negative, "keep_best": keep_best}

    def forward(self, network, x, *, seed_generator, training):
        """The network's outputs; nothing is drawn."""
        del seed_generator
        return network(x, training=training)

    def loss(self, y, outputs):
        """The two summands, float32.

        Args:
            y: `boxes` `(batch, objects, 4)`, `labels` `(batch, objects)` with -1 for rows that only
                fill up, and perhaps `crowd` `(batch, objects)`.
            outputs: `logits`, `deltas` and `anchors` of the network.
        """
        boxes, labels = ops.cast(y["boxes"], "float32"), ops.cast(y["labels"], "int32")
        anchors = outputs["anchors"]  # (batch, anchors, 4), the same in every example
        match = match_anchors(anchors[0], boxes, labels, y.get("crowd"), **self.matching)
        positive = ops.cast(match >= 0, "float32")  # (batch, anchors)
        count = ops.maximum(ops.sum(positive), 1.0)
        chosen = ops.maximum(match, 0)  # Any row, where there is no object.

        classes = outputs["logits"].shape[-1]
        label = ops.where(match >= 0, gather_rows(labels, chosen), -1)
        targets = ops.one_hot(label, classes, dtype="float32")  # Zeros for -1.
        focal = sigmoid_focal_loss(targets, outputs["logits"], alpha=self.alpha, gamma=self.gamma)
        counted = ops.cast(ops.not_equal(match, IGNORED), "float32")
        classification = ops.sum(ops.sum(focal, axis=-1) * counted) / count

        # Anchors without an object get themselves as their box, whose logarithm is finite.
        box = ops.where(ops.expand_dims(match >= 0, -1), gather_rows(boxes, chosen), anchors)
        deltas = ops.cast(outputs["deltas"], "float32")
        if self.box_loss == "l1":
            away = ops.sum(smooth_l1(box_ops.encode(box, anchors), deltas, beta=self.beta), axis=-1)
        else:
            away = BOX_LOSSES[self.box_loss](box, box_ops.decode(deltas, anchors))
        away = ops.sum(away * positive) / count
        return {"classification": classification, "boxes": self.box_weight * away}
