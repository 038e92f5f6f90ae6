"""Augmentations as batched TensorFlow operations: pure functions of an example and its seed.

Operations of a kind that follow each other are one step: movements are composed to one matrix an
image and pixels are resampled once, colours to one matrix on the channels.
"""

import itertools
from collections.abc import Callable, Iterator

from vislearn.data.augmentation import colours, hiding, mixtures, movements, operations, policies
from vislearn.data.augmentation.description import Augmentation, Example


def apply(augmentation: Augmentation, example: Example) -> Example:
    """What the augmentation says, on a batch; see `Augmentation`.

    Raises:
        ValueError: If an operation cannot keep an annotation right that the example has.
    """
    import tensorflow as tf

    for number, (carry_out, run) in enumerate(_steps(augmentation.operations)):
        # The first step draws from the seed itself.
        seed = tf.random.fold_in(example["seed"], number) if number else example["seed"]
        example = carry_out(run, example, seed, augmentation)
    return example


_SINGLE: dict[type[operations.Operation], Callable] = {
    operations.Lens: movements.distort,
    operations.Noise: colours.add_noise,
    operations.Edges: colours.enhance_edges,
    operations.Erase: hiding.erase,
    operations.GridMask: hiding.hide_grid,
    operations.Mixup: mixtures.mixup,
    operations.CutMix: mixtures.cutmix,
    operations.Mosaic: mixtures.mosaic,
    operations.RandAugment: policies.rand_augment,
    operations.AugMix: policies.augmix,
}


def _steps(described: tuple[operations.Operation, ...]) -> Iterator[tuple[Callable, list]]:
    """Functions, each with the operations that it carries out at once."""
    left = list(described)
    while left:
        first = left[0]
        if isinstance(first, operations.Crop):
            # A mirror image that is taken at once costs nothing.
            flips = left[1:2] if left[1:2] and _mirrors(left[1]) else []
            carry_out, run = movements.crop, [first, *flips]
        elif isinstance(first, operations.Movement):
            carry_out, run = movements.move, _leading(left, operations.Movement)
        elif isinstance(first, operations.Colour):
            carry_out, run = colours.recolour, _leading(left, operations.Colour)
        else:
            carry_out, run = _SINGLE[type(first)], [first]
        yield carry_out, run
        left = left[len(run) :]


def _leading(left: list, kind: type) -> list:
    return [*itertools.takewhile(lambda operation: isinstance(operation, kind), left)]


def _mirrors(operation: operations.Operation) -> bool:
    return isinstance(operation, operations.Flip) and operation.axis == "horizontal"
