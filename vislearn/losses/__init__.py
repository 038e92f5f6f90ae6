"""Losses that Keras lacks, a file an idea."""

from vislearn.losses.cross_entropy import SparseCategoricalCrossentropy
from vislearn.losses.detection import RetinaNetObjective
from vislearn.losses.focal import sigmoid_focal_loss
from vislearn.losses.giou import giou_loss
from vislearn.losses.segmentation import Dice, PixelCrossentropy, SegmentationLoss
from vislearn.losses.smooth_l1 import smooth_l1
from vislearn.losses.standardized import StandardizedSquaredError

__all__ = [
    "Dice",
    "PixelCrossentropy",
    "RetinaNetObjective",
    "SegmentationLoss",
    "SparseCategoricalCrossentropy",
    "StandardizedSquaredError",
    "giou_loss",
    "sigmoid_focal_loss",
    "smooth_l1",
]
