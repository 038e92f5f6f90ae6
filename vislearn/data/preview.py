"""What an augmentation makes of the pictures of a data set, to be looked at before training."""

from collections.abc import Callable

import numpy as np

from vislearn.data.augmentation import Example
from vislearn.data.dataset import Dataset

Picture = dict[str, np.ndarray]


def augmented_rows(
    dataset: Dataset,
    augment: Callable[[Example], Example] | None,
    *,
    count: int,
    versions: int,
    seed: int = 0,
) -> list[list[Picture]]:
    """Training pictures, each with so many augmented versions of itself.

    They are one batch, as in training: what mixes pictures mixes those that are shown.

    Args:
        dataset: Where the pictures come from, at even distances.
        augment: What `get_augmentation` returns; None shows the pictures as they are.
        count: How many pictures.
        versions: How many of each.
        seed: Seed of the versions.

    Returns:
        A row for each picture, the original first: its part of the batch by name, as
        `pictures.augmentation_grid` draws it. There are fewer rows where there are fewer pictures.

    Raises:
        ValueError: If `count` or `versions` is less than 1.
    """
    import tensorflow as tf

    for name, value in (("count", count), ("versions", versions)):
        if value < 1:
            raise ValueError(f"{name}={value!r} must be at least 1.")
    originals = dataset.arrays("train", count)
    batch = {name: tf.constant(values) for name, values in originals.items()}
    if getattr(augment, "mixes", False) and dataset.info.task == "classification":
        batch["labels"] = tf.one_hot(batch["labels"], len(dataset.info.classes))

    @tf.function
    def augmented(seed):
        return augment({**batch, "seed": seed})

    columns = [originals]
    for version in range(versions if augment else 0):
        made = augmented(tf.constant([seed, version], tf.int64))
        columns.append({name: np.asarray(made[name]) for name in originals})
    return [
        [{name: values[row] for name, values in column.items()} for column in columns]
        for row in range(len(originals["images"]))
    ]
