"""Augmentation of whole batches of pixels and their annotations, as a pure function of a seed."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from vislearn.data import geometry

Example = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random movement and colours; each image draws its own, from `example["seed"]` alone.

    All movements are composed to one matrix an image and pixels are resampled once, and so are all
    changes of colour. What happens to annotations at the edges stands in `geometry`. To be passed
    as `augment` of `load_dataset`, or called with a dictionary of tensors.

    Attributes:
        mirror: Share of the images whose left and right are exchanged.
        mirror_vertically: Share of the images whose top and bottom are exchanged.
        scale: Least and greatest scale; 2 enlarges to twice the size, so that a quarter is seen.
            Factors s and 1 / s are as likely.
        translate: Greatest shift as a share of the side, beyond what scaling makes room for: an
            enlarged image shows any part of itself, a reduced one lies anywhere in the frame.
        rotate: Greatest angle in radians, either way.
        brightness: Greatest change of brightness, as a share of white.
        contrast: Contrast, and the strength of each channel for itself by half as much, change by a
            factor of up to 1 + `contrast` either way.
        saturation: Saturation of RGB images changes by a factor of up to 1 + `saturation`.
        hue: Greatest turn of the colours of RGB images around the axis of greys, in radians.

    Raises:
        ValueError: If a value is out of range.
    """

    mirror: float = 0.0
    mirror_vertically: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    translate: float = 0.0
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        for name in ("mirror", "mirror_vertically", "translate", "brightness"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be between 0 and 1.")
        for name in ("contrast", "saturation"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 0.")
        for name in ("rotate", "hue"):
            if not 0 <= getattr(self, name) <= math.pi:
                raise ValueError(f"{name}={getattr(self, name)!r} must be 0 to pi radians.")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"scale={self.scale!r} must be two positive factors in order.")

    def __call__(self, example: Example) -> Example:
        import tensorflow as tf

        where, which, colours = tf.unstack(tf.random.split(example["seed"], 3))
        resampled = (
            self.scale != (1.0, 1.0) or self.translate or self.rotate or self.mirror_vertically
        )
        if resampled:
            example = geometry.move(example, self._movement(example["images"], where, which))
        elif self.mirror:
            batch = tf.shape(example["images"])[0]
            draws = tf.random.stateless_uniform((2, batch), which)
            example = geometry.flip(example, draws[0] < self.mirror)
        if self.brightness or self.contrast or self.saturation or self.hue:
            example = {**example, "images": self._recolour(example["images"], colours)}
        return example

    def _movement(self, images, where, which):
        import tensorflow as tf

        shape = tf.shape(images)
        batch, height, width = shape[0], shape[1], shape[2]
        draws = tf.random.stateless_uniform((4, batch), where, -1.0, 1.0)
        mirrors = tf.random.stateless_uniform((2, batch), which)
        low, high = (math.log(factor) for factor in self.scale)
        scale = tf.exp((low + high) / 2 + (high - low) / 2 * draws[0])
        size = tf.cast(tf.stack([width, height]), tf.float32)
        room = tf.abs(scale - 1.0) / 2 + self.translate  # (batch,)
        shift = tf.transpose(draws[2:]) * room[:, tf.newaxis] * size
        return geometry.compose(
            batch,
            height,
            width,
            mirror_x=mirrors[0] < self.mirror,
            mirror_y=mirrors[1] < self.mirror_vertically,
            scale=scale,
            angle=draws[1] * self.rotate,
            shift=shift,
        )

    def _recolour(self, images, seed):
        """One matrix and one offset for the channels of each image."""
        import tensorflow as tf

        shape, channels = tf.shape(images), images.shape[-1]
        batch = shape[0]
        draws = tf.random.stateless_uniform((batch, 4 + channels), seed, -1.0, 1.0)
        strength = math.log1p(self.contrast)
        factors = tf.exp(strength * (draws[:, :1] + 0.5 * draws[:, 4:]))  # (batch, channels)
        matrix = tf.linalg.diag(factors)
        if channels == 3:
            saturation = tf.exp(math.log1p(self.saturation) * draws[:, 2])
            matrix = tf.matmul(_about_grey(saturation, self.hue * draws[:, 3]), matrix)
        # Contrast turns about the middle grey, which stays where it is.
        offset = 127.5 * (1.0 - factors) + 255.0 * self.brightness * draws[:, 1:2]
        pixels = tf.reshape(tf.cast(images, tf.float32), (batch, -1, channels))
        pixels = tf.matmul(pixels, matrix) + offset[:, tf.newaxis]
        pixels = tf.reshape(tf.clip_by_value(pixels, 0.0, 255.0), shape)
        pixels = tf.ensure_shape(pixels, images.shape)
        return tf.cast(tf.round(pixels) if images.dtype.is_integer else pixels, images.dtype)


def _about_grey(saturation, hue):
    """Matrices that turn RGB vectors about the axis of greys and stretch them away from it.

    Args:
        saturation, hue: `(batch,)`, a factor and an angle in radians.

    Returns:
        `(batch, 3, 3)`, to be multiplied from the right; a grey stays what it is.
    """
    import tensorflow as tf

    one = tf.fill((3, 3), 1 / 3)  # projects on the axis
    # Rodrigues' formula for the axis (1, 1, 1) / sqrt(3).
    cross = tf.constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = (saturation * f(hue) for f in (tf.cos, tf.sin))
    return one + cos[:, None, None] * (tf.eye(3) - one) + sin[:, None, None] * cross


# What the names mean where more than a class is annotated, and for pictures to be generated. Scales
# and colours are those that a photograph of the same scene from elsewhere could have.
ANNOTATED = {
    "none": None,
    "flip": Augmentation(mirror=0.5),
    "standard": Augmentation(
        mirror=0.5, scale=(0.8, 1.25), translate=0.05, brightness=0.08, contrast=0.15
    ),
    "strong": Augmentation(
        mirror=0.5,
        scale=(0.6, 1.6),
        translate=0.1,
        rotate=math.radians(15),
        brightness=0.15,
        contrast=0.3,
        saturation=0.4,
        hue=math.radians(12),
    ),
}
# Networks that make pictures learn whatever is done to them, a colour cast or a grey border.
GENERATED = {"none": None, "flip": ANNOTATED["flip"], "standard": ANNOTATED["flip"]}
AUGMENTATIONS = {
    "classification": ("none", "crop", "standard"),
    "regression": ("none", "crop", "standard"),
    "detection": tuple(ANNOTATED),
    "semantic_segmentation": tuple(ANNOTATED),
    "generation": tuple(GENERATED),
}


def get_augmentation(
    augment: str | None, *, flips: bool, task: str = "classification"
) -> Callable[[Example], Example] | None:
    """The augmentation of this name, on dictionaries with uint8 `images` and a `seed`.

    Args:
        augment: For classification and regression `"crop"` moves the picture by up to an eighth of
            its side, `"standard"` also mirrors half of the pictures (for regression that is right
            where a moved or mirrored picture keeps its values). For detection and segmentation
            `"flip"` mirrors half of the pictures, `"standard"` also scales, shifts and changes
            brightness and contrast a little, and `"strong"` does more of it and turns pictures and
            colours. For generation `"flip"` and `"standard"` mirror half of the pictures. None or
            `"none"` leaves pictures alone.
        flips: Whether a mirror image keeps its class; without it nothing is mirrored.
        task: Name of the task.

    Returns:
        The function, or None.

    Raises:
        ValueError: If there is no such task, or if it has no such augmentation.
    """
    if task not in AUGMENTATIONS:
        raise ValueError(f"task={task!r} must be one of {[*AUGMENTATIONS]}.")
    names = AUGMENTATIONS[task]
    if augment is None or augment == "none":
        return None
    if augment not in names:
        raise ValueError(
            f"augment={augment!r} must be one of {names}, None, or a function from "
            "dictionary to dictionary."
        )
    if task not in ("classification", "regression"):
        found = (GENERATED if task == "generation" else ANNOTATED)[augment]
        found = found if flips else dataclasses.replace(found, mirror=0.0)
        return None if found == Augmentation() else found
    flip = augment == "standard" and flips

    def apply(example: Example) -> Example:
        return {**example, "images": move(example["images"], example["seed"], flip=flip)}

    return apply


def move(images, seed, *, flip: bool):
    """Shifts each image by a random offset, filled by reflection, and mirrors half of them.

    This is padding by an eighth of the side and cropping at random, without the padded copy: the
    rows, then the columns, of the result are gathered from where they come from.

    Args:
        images: `(batch, height, width, channels)` of any type.
        seed: `(2,)` integers; the result depends on nothing else.
        flip: Whether to mirror.

    Returns:
        Images of the same shape and type.
    """
    import tensorflow as tf

    shape = tf.shape(images)
    batch, height, width = shape[0], shape[1], shape[2]
    seeds = tf.random.split(seed, 3)
    rows = _moved(batch, height, seeds[0])  # (batch, height)
    columns = _moved(batch, width, seeds[1])  # (batch, width)
    if flip:
        mirrored = tf.random.stateless_uniform((batch, 1), seeds[2]) < 0.5
        columns = tf.where(mirrored, width - 1 - columns, columns)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def _moved(batch, side, seed):
    """Where each position of a side comes from, `(batch, side)`."""
    import tensorflow as tf

    most = tf.maximum(side // 8, 1)
    offset = tf.random.stateless_uniform((batch, 1), seed, -most, most + 1, tf.int32)
    place = tf.abs(tf.range(side)[tf.newaxis, :] + offset)  # reflected at the start
    return side - 1 - tf.abs(side - 1 - place)  # reflected at the end
