"""What a data set holds, counted."""

from typing import Any

import numpy as np

from vislearn.data.dataset import Dataset
from vislearn.data.pixels import fitted_preprocessing


def summarize(dataset: Dataset) -> dict[str, Any]:
    """The facts of a data set as JSON values.

    Returns:
        `source`, `task`, `image_shape`, `counts` (images by split), `own_sizes` (images by the
        size of their files, `"HEIGHTxWIDTH"`, the most frequent first), `contents` (see
        `_contents`), `preprocessing` (see `fitted_preprocessing`), `keypoints`, `flips`, `skipped`
        (file and reason) and `notes`.
    """
    info = dataset.info
    sizes, numbers = np.unique(dataset.own_sizes("all"), axis=0, return_counts=True)
    order = np.argsort(-numbers, kind="stable")
    own_sizes = {f"{sizes[row][0]}x{sizes[row][1]}": int(numbers[row]) for row in order}
    return {
        "source": info.source,
        "task": info.task,
        "image_shape": [*info.image_shape],
        "counts": info.counts,
        "own_sizes": own_sizes,
        "contents": _contents(dataset),
        "preprocessing": fitted_preprocessing(dataset),
        "keypoints": [*info.keypoints],
        "flips": info.flips,
        "skipped": [{"file": name, "reason": reason} for name, reason in info.skipped],
        "notes": [*info.notes],
    }


def _contents(dataset: Dataset) -> dict[str, dict[str, float]]:
    """By class and split the number of images, of objects for detection, or for segmentation the
    share of the pixels that count; for regression by quantity and split the mean."""
    info = dataset.info
    found: dict[str, dict[str, float]] = {name: {} for name in info.classes}
    for split in info.counts if info.classes else ():
        if info.task == "regression":
            figures = dataset.annotations(split)["targets"].mean(0)
        elif info.task == "semantic_segmentation":
            parts = (batch["masks"] for batch in dataset.batches(split, 64))
            figures = sum(_numbers(masks, len(info.classes)) for masks in parts)
            figures = figures / max(figures.sum(), 1)
        else:
            figures = _numbers(dataset.annotations(split)["labels"], len(info.classes))
        for name, figure in zip(info.classes, figures.tolist(), strict=True):
            found[name][split] = figure
    return found


def _numbers(values: np.ndarray, classes: int) -> np.ndarray:
    """How often each class number occurs; padding (-1) and ignored pixels (255) are none."""
    return np.bincount(values[(values >= 0) & (values < classes)], minlength=classes)
