"""Several views of each picture, for learning from what they have in common."""

from collections.abc import Callable

from vislearn.data.augmentation.description import Example


def several_views(augment: Callable[[Example], Example], example: Example, count: int) -> Example:
    """Augments each image several times, each time from a seed of its own.

    Args:
        augment: What is done to a dictionary, such as an `Augmentation`.
        example: `images` `(batch, height, width, channels)` and `seed` `(2,)`; annotations are
            left alone, for every view would have others.
        count: How many views of each image.

    Returns:
        The example with `images` `(batch, count, height, width, channels)`.
    """
    import tensorflow as tf

    views = [
        augment({"images": example["images"], "seed": tf.random.fold_in(example["seed"], view)})
        for view in range(count)
    ]
    return {**example, "images": tf.stack([view["images"] for view in views], axis=1)}
