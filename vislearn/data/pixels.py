"""Means and deviations of a data set's pixels, for networks that scale their input by them."""

from typing import Any

import numpy as np

from vislearn.data.dataset import Dataset

KINDS = ("mean_image", "channel_mean", "channel_mean_std")


def fitted_preprocessing(dataset: Dataset, kind: str = "channel_mean_std") -> dict[str, Any]:
    """What to pass as `preprocessing` to a network for this data; of the training images alone.

    Args:
        dataset: Where they come from.
        kind: `"mean_image"`, a mean for each pixel and channel (AlexNet, arXiv:1512.03385 3.4);
            `"channel_mean"` (VGG, arXiv:1409.1556 2.1); or `"channel_mean_std"`, which is also
            divided by the deviation (DenseNet, arXiv:1608.06993 4.1).

    Returns:
        `{"mean": ...}` and for the last `"std"`, in units of 0..255: lists `(channels,)`, or
        `(height, width, channels)` for the mean image.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} must be one of {KINDS}.")
    count, total, squares = 0, 0.0, 0.0
    for batch in dataset.batches("train", 256):
        pixels = batch["images"].astype(np.float64)
        count += len(pixels)
        total = total + pixels.sum(axis=0)  # (height, width, channels)
        squares = squares + np.square(pixels).mean(axis=(1, 2)).sum(axis=0)  # (channels,)
    if kind == "mean_image":
        return {"mean": (total / count).tolist()}
    mean = total.mean(axis=(0, 1)) / count
    found = {"mean": mean.tolist()}
    if kind == "channel_mean_std":
        found["std"] = np.sqrt(np.maximum(squares / count - mean**2, 0.0)).tolist()
    return found
