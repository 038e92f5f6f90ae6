"""Losses that Keras lacks, a file an idea."""

from vislearn.losses.boxes import ciou_loss, diou_loss, giou_loss, iou_loss
from vislearn.losses.classification import ClassificationLoss
from vislearn.losses.detection import RetinaNetObjective
from vislearn.losses.distribution_focal import distribution_focal_loss
from vislearn.losses.focal import sigmoid_focal_loss
from vislearn.losses.ntxent import nt_xent
from vislearn.losses.segmentation import Dice, Jaccard, PixelCrossentropy, SegmentationLoss
from vislearn.losses.smooth_l1 import smooth_l1
from vislearn.losses.standardized import StandardizedSquaredError

__all__ = [
    "ClassificationLoss",
    "Dice",
    "Jaccard",
    "PixelCrossentropy",
    "RetinaNetObjective",
    "SegmentationLoss",
    "StandardizedSquaredError",
    "ciou_loss",
    "diou_loss",
    "distribution_focal_loss",
    "giou_loss",
    "iou_loss",
    "nt_xent",
    "sigmoid_focal_loss",
    "smooth_l1",
]
