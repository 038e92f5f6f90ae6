"""Augmentation by albumentations 2: image by image, on several threads, within tf.data.

Each image has a random generator of its own, made of `example["seed"]` and its place in the batch,
so that neither threads nor other images matter. Boxes, masks and key points move by albumentations'
own rules, and at the edges what stands in `geometry` holds. Pixels are resampled with each movement
and rounded with each change of colour, not once altogether.

What is drawn follows the description, with these exceptions. Shifts are whole pixels. `Saturation`
turns towards the weighted grey of video signals, `Hue` turns in HSV; `Saturation` and `Erase` draw
factors and not their logarithms. `ScaleCrop` draws the size of the patch and not that of the image,
`GridMask` whole numbers of squares. `Lens` is OpenCV's camera model, r (1 + k r^2 + k r^4), scaled
to the same distortion in the corners.
"""

import functools
import itertools
import math
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from vislearn.cores import usable_cores
from vislearn.data import geometry
from vislearn.data.augmentation import colours, policies
from vislearn.data.augmentation import operations as described
from vislearn.data.augmentation.description import Augmentation
from vislearn.data.engines.support import unsupported

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # It would ask for newer versions of itself.
try:
    import albumentations as A
    import cv2
except ImportError as error:
    raise ImportError(
        "engine='albumentations' needs albumentations: pip install 'vislearn[augment]'."
    ) from error

Example = dict[str, Any]
Picture = dict[str, np.ndarray]

_OBJECTS = ("boxes", "labels", "crowd", "instance_masks", "keypoints")
_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}


@tf.autograph.experimental.do_not_convert
def apply(augmentation: Augmentation, example: Example) -> Example:
    """What the augmentation says, on a batch; see `Augmentation`.

    Raises:
        ValueError: If albumentations has no means for an operation, or the operation cannot keep an
            annotation right that the example has.
    """
    images = example["images"]
    known = ("images", "masks", *(_OBJECTS if "boxes" in example else ()))
    names = [name for name in known if name in example]
    points = example["keypoints"].shape[-2] if "keypoints" in names else 0
    shape = tuple(images.shape[1:])
    make = functools.partial(_Pipeline, augmentation, shape, frozenset(names), points)
    make()  # Raises before anything runs.
    of_thread = threading.local()

    def work(seed, *arrays):
        def one(row: int) -> Picture:
            if not hasattr(of_thread, "pipeline"):  # Transforms hold the state of their generator.
                of_thread.pipeline = make()
            picture = {name: array[row] for name, array in zip(names, arrays, strict=True)}
            return of_thread.pipeline(picture, [int(number) % 2**64 for number in (*seed, row)])

        pictures = [*_threads().map(one, range(len(arrays[0])))]
        return [np.stack([picture[name] for picture in pictures]) for name in names]

    whole = tf.cast(tf.round(tf.clip_by_value(tf.cast(images, tf.float32), 0, 255)), tf.uint8)
    given = [whole if name == "images" else example[name] for name in names]
    made = tf.numpy_function(work, [example["seed"], *given], [value.dtype for value in given])
    found = dict(example)
    for name, value in zip(names, tf.nest.flatten(made), strict=True):  # Eagerly, one is no list.
        found[name] = tf.ensure_shape(value, example[name].shape)
    found["images"] = tf.cast(found["images"], images.dtype)
    return found


def transforms(augmentation: Augmentation, shape: tuple[int, int, int]) -> list[A.BasicTransform]:
    """The transforms of an augmentation, for an `albumentations.Compose` of one's own."""
    return [*map(_Transforms(augmentation, shape), augmentation.operations)]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="vislearn-albumentations")


class _Pipeline:
    """The transforms of an augmentation, for one picture at a time.

    Args:
        augmentation: Its description.
        shape: `(height, width, channels)` of the pictures.
        names: What is known about them.
        points: Number of key points of an object.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        shape: tuple[int, ...],
        names: frozenset[str],
        points: int,
    ):
        if "boxes" in names:
            _check_objects(augmentation)
        made = _Transforms(augmentation, shape, points)
        moved: dict[str, Any] = {}
        if "boxes" in names:
            # Judged in the end: what one movement takes out of the picture another may bring back.
            moved["bbox_params"] = A.BboxParams(
                "pascal_voc",
                label_fields=["rows"],
                min_visibility=geometry.KEEP,
                check_each_transform=False,
            )
        if "keypoints" in names:
            moved["keypoint_params"] = A.KeypointParams("xy", remove_invisible=False)
        self._steps = [
            (moves, A.Compose([made(operation) for operation in run], **(moved if moves else {})))
            for moves, run in itertools.groupby(augmentation.operations, _moves)
        ]

    def __call__(self, picture: Picture, entropy: list[int]) -> Picture:
        """One picture, changed by what these integers make random."""
        generators = np.random.default_rng(entropy), random.Random(str(entropy))
        data = _packed(picture)
        for moves, compose in self._steps:
            # `set_random_seed` would start every transform at the same numbers.
            compose.set_random_state(*generators)
            # Dropout, too, sees the pixels only: it would drop the boxes that it hides.
            data |= compose(**data) if moves else compose(image=data["image"])
        return _unpacked(data, picture)


def _moves(operation: described.Operation) -> bool:
    fixed = (
        *(described.Colour, described.Noise, described.Edges),
        *(described.Erase, described.GridMask),
    )
    return not isinstance(operation, fixed)


def _check_objects(augmentation: Augmentation) -> None:
    for operation in augmentation.operations:
        if isinstance(operation, described.Crop):
            raise ValueError(
                "crop: reflection shows objects a second time, without their boxes; use shift."
            )
    if augmentation.fill in ("reflect", "wrap"):
        raise ValueError(
            f"fill={augmentation.fill!r} shows objects a second time, without their boxes; use "
            "'constant' or 'nearest'."
        )


def _packed(picture: Picture) -> dict[str, Any]:
    """A picture as albumentations takes it; numbers of rows lead back to the objects."""
    data: dict[str, Any] = {"image": picture["images"]}
    if "masks" in picture:
        data["mask"] = picture["masks"]
    if "boxes" in picture:
        rows = np.flatnonzero(picture["labels"] >= 0)
        data |= {"bboxes": picture["boxes"][rows], "rows": rows}
    if "instance_masks" in picture:
        data["masks"] = picture["instance_masks"].astype(np.uint8)
    if "keypoints" in picture:
        # There the middle of the first pixel lies at 0. Whether it is visible goes along.
        data["keypoints"] = picture["keypoints"].reshape(-1, 3) - (0.5, 0.5, 0)
    return data


def _unpacked(data: dict[str, Any], picture: Picture) -> Picture:
    """The picture again, objects in their old rows; a row that was dropped has label -1."""
    found = {"images": data["image"].reshape(picture["images"].shape)}
    if "masks" in picture:
        found["masks"] = data["mask"]
    if "boxes" not in picture:
        return found
    kept = np.zeros(len(picture["labels"]), bool)
    rows = np.asarray(data["rows"], int)
    kept[rows] = True
    boxes = np.zeros_like(picture["boxes"])
    boxes[rows] = data["bboxes"]
    if "instance_masks" in picture:
        # 1 is the object: 0 was none of it, and 255 lay outside.
        masks = (np.stack(data["masks"]) == 1) & kept[:, np.newaxis, np.newaxis]
        kept &= masks.any((1, 2))
        boxes = geometry.boxes_of_masks(masks[np.newaxis]).numpy()[0]
        found["instance_masks"] = masks
    found["boxes"] = boxes
    found["labels"] = np.where(kept, picture["labels"], np.int32(-1))
    if "crowd" in picture:
        found["crowd"] = picture["crowd"] & kept
    if "keypoints" in picture:
        points = np.add(data["keypoints"], (0.5, 0.5, 0))
        points = points.reshape(picture["keypoints"].shape).astype(np.float32)
        height, width = data["image"].shape[:2]
        inside = ((points[..., :2] >= 0) & (points[..., :2] < (width, height))).all(-1)
        points[..., 2] *= inside
        found["keypoints"] = points * kept[:, np.newaxis, np.newaxis]
    return found


class _Transforms:
    """From an operation to a transform: a method an operation, named by its key.

    Args:
        augmentation: Says what is seen of the outside.
        shape: `(height, width, channels)` of the pictures.
        points: Number of key points of an object, where they are moved.
    """

    def __init__(self, augmentation: Augmentation, shape: tuple[int, ...], points: int = 0):
        self.points = points
        self.height, self.width, self.channels = shape
        self.outside = {
            "border_mode": _BORDERS[augmentation.fill],
            "fill": augmentation.fill_value,
            "fill_mask": geometry.IGNORE,
        }

    def __call__(self, operation: described.Operation):
        make = getattr(self, operation.key(), None)
        if make is None:
            raise unsupported("albumentations", operation)
        return make(operation)

    def flip(self, of):
        transform = (_FlipX if of.axis == "horizontal" else _FlipY)(of.probability)
        transform.order = geometry.exchanged_order(self.points, (self.points and of.pairs) or ())
        return transform

    def shift(self, of):
        share = {"x": (-of.x, of.x), "y": (-of.y, of.y)}
        return A.Affine(translate_percent=share, p=of.probability, **self.outside)

    def shear(self, of):
        x, y = math.degrees(of.x), math.degrees(of.y)
        return A.Affine(shear={"x": (-x, x), "y": (-y, y)}, p=of.probability, **self.outside)

    def rotate(self, of):
        angle = math.degrees(of.angle)
        return A.Affine(rotate=(-angle, angle), p=of.probability, **self.outside)

    def zoom(self, of):
        def factors(draw):
            x = _log_uniform(draw, of.scale)
            return x, _log_uniform(draw, of.scale) if of.per_axis else x

        return self._scale(of, factors, anywhere=of.anywhere)

    def stretch(self, of):
        def factors(draw):
            wider = math.sqrt(_log_uniform(draw, of.ratio))
            return wider, 1 / wider

        return self._scale(of, factors)

    def _scale(self, of, factors, *, anywhere=False):
        transform = _Scale(p=of.probability, **self.outside)
        transform.factors, transform.anywhere = factors, anywhere
        return transform

    def scale_crop(self, of):
        least, most = (round(self.height * of.crop / side) for side in reversed(of.short_side))
        return A.RandomSizedCrop(
            (least, most), self._size, w2h_ratio=self.width / self.height, p=of.probability
        )

    def resized_crop(self, of):
        return A.RandomResizedCrop(self._size, scale=of.area, ratio=of.ratio, p=of.probability)

    @property
    def _size(self):
        return self.height, self.width

    def crop(self, of):
        if not of.padding:
            return A.NoOp()
        geometry.check_reflects("crop", *self._size)
        height, width = (side + 2 * max(int(side * of.padding), 1) for side in self._size)
        padded = A.PadIfNeeded(height, width, border_mode=cv2.BORDER_REFLECT_101)
        return A.Sequential([padded, A.RandomCrop(*self._size)], p=of.probability)

    def lens(self, of):
        corner = 0.5 + 0.5**2  # r^2 + r^4 there, as OpenCV measures by the sides
        k = of.strength / corner
        return A.OpticalDistortion(
            (-k, k), keypoint_remapping_method="direct", p=of.probability, **self.outside
        )

    def brightness(self, of):
        return self._linear(of, lambda draw: (1, draw.uniform(-of.amount, of.amount)))

    def contrast(self, of):
        return self._linear(of, lambda draw: (_factor(draw, of.amount), 0))

    def colour_shift(self, of):
        def channels(draw):
            factors = [_factor(draw, of.amount) for _ in range(self.channels)]
            return factors, [draw.uniform(-of.offset, of.offset) for _ in range(self.channels)]

        return self._linear(of, channels)

    def fancy_pca(self, of):
        colours.check_channels("fancy_pca", self.channels)

        def offset(draw):
            shares = [draw.gauss(0, of.deviation) * value for value in of.eigenvalues]
            colour = np.array(shares) @ np.array(of.eigenvectors)
            return 1, colour if self.channels == 3 else colour.mean()

        return self._linear(of, offset)

    def _linear(self, of, draw):
        transform = _Linear(p=of.probability)
        transform.draw = draw
        return transform

    def saturation(self, of):
        factors = (1 / (1 + of.amount), 1 + of.amount)
        return self._jitter({"saturation": factors}, of.probability)

    def hue(self, of):
        share = of.angle / (2 * math.pi)
        return self._jitter({"hue": (-share, share)}, of.probability)

    def _jitter(self, strength, probability):
        if self.channels == 1 and not strength.keys() & {"brightness", "contrast"}:
            return A.NoOp()
        nothing = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
        return A.ColorJitter(**nothing | strength, p=probability)

    def noise(self, of):
        return A.GaussNoise(std_range=(0, of.deviation), p=of.probability)

    def edges(self, of):
        # Of the kernel 8 and -1; ours is 8/9 and -1/9.
        if of.amount > 9:
            raise unsupported("albumentations", of, f"with amount={of.amount:g}, above 9")
        strength = (0, of.amount / 9)
        return A.Sharpen(strength, lightness=(1, 1), kernel_size=3, p=of.probability)

    def erase(self, of):
        fill = {"grey": geometry.GREY, "black": 0, "noise": "random"}[of.value]
        one = A.Erasing(of.area, tuple(1 / side for side in reversed(of.ratio)), fill=fill, p=1)
        return A.Sequential([one] * of.count, p=of.probability)

    def grid_mask(self, of):
        if not of.hidden:
            return A.NoOp()
        sides = tuple(max(round(share * min(self._size)), 2) for share in of.unit)
        return A.GridDropout(of.hidden, unit_size_range=sides, fill=geometry.GREY, p=of.probability)

    def rand_augment(self, of):
        share = of.magnitude / 10
        angle, slant, step, change = (
            share * most
            for most in (
                *map(math.degrees, (policies.ROTATION, policies.SHEAR)),
                *(policies.SHIFT, policies.FACTOR),
            )
        )

        def either(make, **strengths):
            """This strength or its opposite."""
            pair = [
                make(**{name: of_sign(value, sign) for name, value in strengths.items()})
                for sign in (1, -1)
            ]
            return A.OneOf(pair, p=1)

        def of_sign(value, sign):
            if isinstance(value, dict):
                return {axis: (sign * by, sign * by) for axis, by in value.items()}
            return sign * value, sign * value

        affine = functools.partial(A.Affine, p=1, **self.outside)
        choices = [
            either(affine, rotate=angle),
            either(affine, shear={"x": slant, "y": 0.0}),
            either(affine, shear={"x": 0.0, "y": slant}),
            either(affine, translate_percent={"x": step, "y": 0.0}),
            either(affine, translate_percent={"x": 0.0, "y": step}),
            A.AutoContrast(method="pil", p=1),
            A.Equalize(mode="pil", p=1),
            A.Solarize((1 - share, 1 - share), p=1),
            A.Posterize(8 - round(policies.BITS * share), p=1),
            *(
                A.OneOf([self._jitter({name: (by, by)}, 1) for by in (1 + change, 1 - change)], p=1)
                for name in ("contrast", "brightness", "saturation")
            ),
            # Of the smooth image 5 parts are the pixel and one each of its 8 neighbours.
            A.Sharpen((change / 13, change / 13), lightness=(1, 1), kernel_size=3, p=1),
            A.NoOp(),
        ]
        return A.SomeOf(choices, n=of.layers, replace=True, p=of.probability)


def _log_uniform(draw: random.Random, bounds: tuple[float, float]) -> float:
    low, high = map(math.log, bounds)
    return math.exp(draw.uniform(low, high))


def _factor(draw: random.Random, amount: float) -> float:
    return _log_uniform(draw, (1 / (1 + amount), 1 + amount))


class _Exchanging:
    """A flip after which key point n of an object is where `order[n]` was mirrored to."""

    def apply_to_keypoints(self, keypoints, **params):
        moved = super().apply_to_keypoints(keypoints, **params)
        if not self.order:
            return moved
        objects = moved.reshape(-1, len(self.order), moved.shape[-1])
        return objects[:, self.order].reshape(moved.shape)


class _FlipX(_Exchanging, A.HorizontalFlip):
    pass


class _FlipY(_Exchanging, A.VerticalFlip):
    pass


class _Scale(A.Affine):
    """Scales by what `factors` draws; `anywhere` as in `Zoom`."""

    def get_params_dependent_on_data(self, params, data):
        factors = self.factors(self.py_random)
        self.scale = {axis: (by, by) for axis, by in zip("xy", factors, strict=True)}
        if self.anywhere:
            room = (abs(by - 1) / 2 for by in factors)
            self.translate_percent = {a: (-by, by) for a, by in zip("xy", room, strict=True)}
        return super().get_params_dependent_on_data(params, data)


class _Linear(A.ImageOnlyTransform):
    """Multiplies the distance from the middle grey by a factor, and adds an offset of white.

    `draw` gives both, for all channels or for each.
    """

    def get_params(self):
        factor, offset = map(np.asarray, self.draw(self.py_random))
        return {"factor": factor, "offset": offset}

    def apply(self, img, factor, offset, **params):
        levels = np.arange(256.0)[:, np.newaxis]
        table = (levels - 127.5) * factor + 127.5 + 255 * offset  # (256, 1 or channels)
        table = np.rint(table.clip(0, 255)).astype(np.uint8)
        table = np.broadcast_to(table, (256, img.shape[-1]))
        return cv2.LUT(img, table[np.newaxis]).reshape(img.shape)
