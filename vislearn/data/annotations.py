"""What is known about a picture: objects and masks, moved with it and packed into arrays.

Readers give boxes, outlines and masks in the pixels of the file. Here they are checked against the
picture, brought to its new size, and put into the arrays that a data set holds.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vislearn.data.images import Fit

IGNORE = 255  # in a semantic mask: a pixel that is neither learnt nor counted
# Of an object that "crop" cuts off, at least this share of its box must be left.
LEAST_SHARE = 0.25
_ROUNDING = 0.01  # pixels by which a box may exceed its picture without being worth a word


class Region(Protocol):
    """The pixels of an object, made when they are asked for."""

    def mask(self, fit: Fit) -> np.ndarray:
        """`(height, width)` bool at the size that the picture is brought to."""
        ...


@dataclasses.dataclass(frozen=True)
class Numbered:
    """The pixels that have this number in a map, `(height, width)` integers."""

    numbers: np.ndarray
    number: int

    def mask(self, fit: Fit) -> np.ndarray:
        return fit.mask(self.numbers == self.number)


@dataclasses.dataclass(frozen=True)
class Objects:
    """The objects of one picture, in its own pixels.

    Attributes:
        boxes: `(n, 4)` float xyxy, the edges.
        labels: `(n,)` class numbers.
        crowd: `(n,)` bool: not learnt and not counted (`iscrowd` of COCO, `difficult` of VOC).
        names: For messages, where each object is written.
        keypoints: `(n, k, 3)` float (x, y, visible), or None.
        regions: The pixels of each object, or None.
        size: `(height, width)` that the annotations state for the picture, or None.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    names: Sequence[str]
    keypoints: np.ndarray | None = None
    regions: Sequence[Region] | None = None
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, keep: np.ndarray) -> "Objects":
        """Only the objects where `keep` `(n,)` is true."""
        where = np.flatnonzero(keep)
        return dataclasses.replace(
            self,
            boxes=self.boxes[where],
            labels=self.labels[where],
            crowd=self.crowd[where],
            names=[self.names[n] for n in where],
            keypoints=None if self.keypoints is None else self.keypoints[where],
            regions=None if self.regions is None else [self.regions[n] for n in where],
        )


class Repairs:
    """What was changed in annotations, by rule; the first of each kind is kept to be shown.

    Args:
        strict: Raise `ValueError` instead of changing anything.
    """

    def __init__(self, strict: bool):
        self._strict = strict
        self._found: dict[str, list[str]] = {}

    def add(self, rule: str, message: str) -> None:
        """Notes that `rule` was applied, where and why."""
        if self._strict:
            raise ValueError(message)
        self._found.setdefault(rule, []).append(message)

    def notes(self) -> list[str]:
        """A line for each rule that was applied."""
        return [
            f"{len(messages):,} {rule}, the first: {messages[0]}"
            for rule, messages in self._found.items()
        ]


def settle(objects: Objects, own_size: tuple[int, int], repairs: Repairs) -> Objects:
    """Checks objects against their picture: what is outside is cut off, what is empty is dropped.

    Args:
        objects: In the pixels of the picture.
        own_size: `(height, width)` of the picture.
        repairs: Is told of each change.

    Raises:
        ValueError: If the annotations are of a picture of another size, a number is not finite, or
            a change is due and `repairs` is strict.
    """
    height, width = own_size
    if objects.size is not None and tuple(objects.size) != (height, width):
        where = objects.names[0] if len(objects) else "an image without objects"
        raise ValueError(
            f"{where}: the annotations are for {objects.size[1]} x {objects.size[0]} pixels, and "
            f"the image has {width} x {height}."
        )
    keep = np.ones(len(objects), bool)
    boxes = objects.boxes.astype(np.float64)
    for number, (name, box) in enumerate(zip(objects.names, boxes, strict=True)):
        shown = "(" + ", ".join(f"{edge:g}" for edge in box) + ")"
        if not np.isfinite(box).all():
            raise ValueError(f"{name}: the box {shown} is not finite.")
        if box[2] <= box[0] or box[3] <= box[1]:
            keep[number] = False
            repairs.add("empty or inverted boxes are dropped", f"{name}: the box {shown} is empty.")
            continue
        cut = box.clip(0, (width, height, width, height))
        if cut[2] <= cut[0] or cut[3] <= cut[1]:
            keep[number] = False
            repairs.add(
                "boxes outside of their images are dropped",
                f"{name}: the box {shown} is outside of the image, {width} x {height}.",
            )
        elif np.abs(cut - box).max() > _ROUNDING:
            repairs.add(
                "boxes that exceed their images are clipped",
                f"{name}: the box {shown} exceeds the image, {width} x {height}.",
            )
        boxes[number] = cut
    return dataclasses.replace(objects, boxes=boxes).select(keep)


def move(objects: Objects, fit: Fit) -> tuple[Objects, int]:
    """Moves boxes and key points with the picture.

    An object of whose box less than a quarter is left after `"crop"` is dropped; a key point that
    is cut off becomes invisible.

    Returns:
        The objects in the pixels of the new picture, and how many were dropped.
    """
    height, width = fit.size
    boxes = fit.points(objects.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    cut = boxes.clip(0, (width, height, width, height))
    keep = _areas(cut) >= LEAST_SHARE * _areas(boxes)
    keypoints = objects.keypoints
    if keypoints is not None:
        places = fit.points(keypoints[..., :2])
        inside = ((places >= 0) & (places <= (width, height))).all(-1)
        keypoints = np.concatenate([places, (keypoints[..., 2] * inside)[..., np.newaxis]], -1)
    moved = dataclasses.replace(objects, boxes=cut, keypoints=keypoints).select(keep)
    return moved, int(np.count_nonzero(~keep))


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def pack(pictures: Sequence[Objects]) -> dict[str, np.ndarray]:
    """Objects of many pictures as arrays, padded to the most of any of them, at least one.

    Returns:
        `boxes` `(n, N, 4)` float32, `labels` `(n, N)` int32 and `crowd` `(n, N)` bool, and
        `keypoints` `(n, N, K, 3)` float32 where there are some. A padding row has label -1 and
        zeros elsewhere.
    """
    shape = len(pictures), max([1, *map(len, pictures)])
    found = {
        "boxes": np.zeros((*shape, 4), np.float32),
        "labels": np.full(shape, -1, np.int32),
        "crowd": np.zeros(shape, bool),
    }
    if pictures[0].keypoints is not None:
        found["keypoints"] = np.zeros((*shape, *pictures[0].keypoints.shape[1:]), np.float32)
    for number, objects in enumerate(pictures):
        for name, array in found.items():
            array[number, : len(objects)] = getattr(objects, name)
    return found


@dataclasses.dataclass(frozen=True)
class InstanceMasks:
    """The pixels of all objects of all pictures, drawn when they are asked for.

    Attributes:
        regions: By picture, those of its objects.
        fits: By picture, how it is brought to its size.
        shape: `(N, height, width)` of the masks of a picture, padded with empty ones.
    """

    regions: Sequence[Sequence[Region]]
    fits: Sequence[Fit]
    shape: tuple[int, int, int]
    dtype = np.dtype(bool)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Those of these pictures, `(len(indices), N, height, width)` bool."""
        found = np.zeros((len(indices), *self.shape), bool)
        for place, index in enumerate(indices):
            for number, region in enumerate(self.regions[index]):
                found[place, number] = region.mask(self.fits[index])
        return found


class SemanticMask(Protocol):
    """The classes of the pixels of a picture, read when they are asked for."""

    def read(self) -> np.ndarray:
        """`(height, width)` uint8 class numbers, 255 for pixels to be ignored."""
        ...


@dataclasses.dataclass(frozen=True)
class MaskArray:
    """A semantic mask that is in memory."""

    values: np.ndarray

    def read(self) -> np.ndarray:
        return self.values


@dataclasses.dataclass(frozen=True)
class SemanticMasks:
    """The semantic masks of all pictures, read when they are asked for.

    Attributes:
        masks: By picture.
        fits: By picture, how it is brought to its size.
        shape: `(height, width)`.
    """

    masks: Sequence[SemanticMask]
    fits: Sequence[Fit]
    shape: tuple[int, int]
    dtype = np.dtype(np.uint8)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Those of these pictures, `(len(indices), height, width)` uint8; padding is ignored."""
        found = np.empty((len(indices), *self.shape), np.uint8)
        for place, index in enumerate(indices):
            found[place] = self.moved(index, self.masks[index].read())
        return found

    def moved(self, index: int, values: np.ndarray) -> np.ndarray:
        """The mask that was read for a picture, brought to its size."""
        return self.fits[index].mask(values, fill=IGNORE)
