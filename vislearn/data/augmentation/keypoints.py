"""Key points in a mirror: what was a left eye is then a right one."""

import dataclasses
import re
from collections.abc import Sequence

from vislearn.data.augmentation.description import Augmentation
from vislearn.data.augmentation.operations import Flip

_SIDES = {"left": "right", "right": "left"}
# Names that are a direction in the picture alone, and no side of the object.
_DIRECTIONS = {"horizontal": _SIDES, "vertical": {"top": "bottom", "bottom": "top"}}
_SIDE = re.compile("(?<![a-z])(left|right)(?![a-z])")


def mirrored_pairs(names: Sequence[str], axis: str) -> tuple[tuple[int, int], ...]:
    """The numbers of key points that exchange their places in a mirror, by their names.

    A side of the object, as in COCO's `left_eye`, is the other side in every mirror; a name that is
    a direction alone, such as `top`, only in one of that direction. A name without its counterpart
    stays.

    Args:
        names: Of the key points, whatever their case.
        axis: As of `Flip`.
    """
    lower = [name.lower() for name in names]
    partners = [
        _DIRECTIONS[axis].get(name, name)
        if name in ("left", "right", "top", "bottom")
        else _SIDE.sub(lambda match: _SIDES[match[0]], name)
        for name in lower
    ]
    return tuple(
        (number, lower.index(partner))
        for number, partner in enumerate(partners)
        if partner in lower[number + 1 :]
    )


def with_pairs(augmentation: Augmentation, names: Sequence[str]) -> Augmentation:
    """The augmentation, whose flips exchange the key points of a data set with these names."""
    operations = tuple(
        dataclasses.replace(item, pairs=mirrored_pairs(names, item.axis))
        if isinstance(item, Flip) and item.pairs is None
        else item
        for item in augmentation.operations
    )
    return dataclasses.replace(augmentation, operations=operations)
