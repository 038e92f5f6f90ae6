"""What can be done to pictures: an operation a dataclass, whatever carries it out.

Each image of a batch draws its own strength, from `example["seed"]` alone. Shares are of the side
or of white (255) as the field says, angles are in radians, and a field of two values is a range
that is drawn from. `amount` means a factor up to `1 + amount` either way: f and 1 / f are as
likely.
"""

import dataclasses
import math
import re
from typing import ClassVar

import numpy as np

from vislearn.data.augmentation.rules import (
    Rule,
    are_pairs,
    between,
    check_fields,
    is_number,
    is_vector,
    one_of,
    ordered,
    setting,
    whole,
)


@dataclasses.dataclass(frozen=True)
class Operation:
    """Something done to the images of a batch and to what is annotated on them.

    Attributes:
        probability: Share of the images that it is done to.

    Raises:
        ValueError: If a field is out of its range.
    """

    mixes: ClassVar[bool] = False  # whether images are put together, and their labels with them

    probability: float = setting(1.0, between(0, 1), kw_only=True)

    def __post_init__(self):
        check_fields(self)

    @classmethod
    def key(cls) -> str:
        """Its name in dictionaries and files: `FancyPCA` is `fancy_pca`, `CutMix` is `cutmix`."""
        words = re.findall("PCA|CutMix|AugMix|[A-Z][a-z]+", cls.__name__)
        return "_".join(words).lower()


# Movements. Those that follow each other are composed to one matrix, and pixels are resampled once.
# What comes from outside of the image is said by `fill` of `Augmentation`.


class Movement(Operation):
    """An affine movement: annotations move with the pixels."""


@dataclasses.dataclass(frozen=True)
class Flip(Movement):
    """Exchanges left and right, or top and bottom.

    Attributes:
        axis: `"horizontal"` exchanges left and right, `"vertical"` top and bottom.
        pairs: Numbers of key points that exchange their places, such as `((1, 2), (3, 4))`: a left
            eye in the mirror is a right one. None for those that a data set names alike but for
            left and right (see `keypoints.mirrored_pairs`), and for none where nothing is named.
    """

    axis: str = setting("horizontal", one_of("horizontal", "vertical"))
    pairs: tuple[tuple[int, int], ...] | None = setting(
        None,
        Rule(
            "None, or pairs of key points, each in one pair, such as ((1, 2), (3, 4))",
            lambda v: v is None or are_pairs(v),
        ),
    )
    probability: float = setting(0.5, between(0, 1), kw_only=True)


@dataclasses.dataclass(frozen=True)
class Shift(Movement):
    """Moves by up to a share of the side, either way.

    Attributes:
        x, y: Greatest shift as a share of the width and of the height.
    """

    x: float = setting(0.1, between(0, 1))
    y: float = setting(0.1, between(0, 1))


@dataclasses.dataclass(frozen=True)
class Shear(Movement):
    """Slants about the centre: a row moves aside by its height over the centre times tan(angle).

    Attributes:
        x, y: Greatest angle in radians by which rows, and by which columns, are slanted.
    """

    x: float = setting(0.2, between(0, 1.5))
    y: float = setting(0.0, between(0, 1.5))


@dataclasses.dataclass(frozen=True)
class Rotate(Movement):
    """Turns about the centre.

    Attributes:
        angle: Greatest angle in radians, either way.
    """

    angle: float = setting(math.radians(15), between(0, math.pi))


@dataclasses.dataclass(frozen=True)
class Zoom(Movement):
    """Scales: 2 enlarges to twice the size, so that a quarter is seen.

    Attributes:
        scale: Least and greatest factor; the logarithm is drawn uniformly.
        per_axis: Whether width and height draw factors of their own.
        anywhere: Whether an enlarged image shows any part of itself, and a reduced one lies
            anywhere in the frame, instead of about the centre.
    """

    scale: tuple[float, float] = setting((0.8, 1.25), ordered(0.05, 20))
    per_axis: bool = setting(False, Rule("True or False", lambda v: isinstance(v, bool)))
    anywhere: bool = setting(False, Rule("True or False", lambda v: isinstance(v, bool)))


@dataclasses.dataclass(frozen=True)
class Stretch(Movement):
    """Makes wider and lower, or narrower and higher, about the centre; the area stays.

    Attributes:
        ratio: Least and greatest factor on width over height; the logarithm is drawn uniformly.
    """

    ratio: tuple[float, float] = setting((3 / 4, 4 / 3), ordered(0.05, 20))


@dataclasses.dataclass(frozen=True)
class ScaleCrop(Movement):
    """Random scale, then a patch from anywhere (Simonyan and Zisserman 2014; He et al. 2015).

    The images of a data set have one size, and keep it: what is seen is what a patch of side `crop`
    shows of the image scaled to the short side that is drawn, at the resolution there is.

    Attributes:
        short_side: Least and greatest short side in pixels, drawn uniformly.
        crop: Side of the patch in pixels, at most the least short side.

    Raises:
        ValueError: If `crop` is more than the least short side.
    """

    short_side: tuple[float, float] = setting((256, 480), ordered(1, 100_000))
    crop: int = setting(224, whole(1, 100_000))

    def __post_init__(self):
        super().__post_init__()
        if self.crop > self.short_side[0]:
            raise ValueError(
                f"crop={self.crop!r} must be at most the least short side, {self.short_side[0]}."
            )


@dataclasses.dataclass(frozen=True)
class ResizedCrop(Movement):
    """A part of any size and shape, resized to the whole (Szegedy et al. 2015, arXiv:1409.4842).

    A part that would be wider or higher than the image is cut to it.

    Attributes:
        area: Least and greatest share of the image's area.
        ratio: Least and greatest width over height in pixels; the logarithm is drawn uniformly.
    """

    area: tuple[float, float] = setting((0.08, 1.0), ordered(0.01, 1))
    ratio: tuple[float, float] = setting((3 / 4, 4 / 3), ordered(0.05, 20))


@dataclasses.dataclass(frozen=True)
class Crop(Operation):
    """Pads by reflection and crops at random, by whole pixels, so that nothing is resampled.

    For images of at least 2 x 2 pixels, with semantic masks or without. Not for boxes: reflection
    would show objects a second time, without their annotation.

    Attributes:
        padding: Width of the border as a share of the side; at least a pixel, unless it is 0.
    """

    padding: float = setting(0.125, between(0, 0.5))


@dataclasses.dataclass(frozen=True)
class Lens(Operation):
    """Radial distortion about the centre: what is shown at radius r comes from r (1 + k r^2).

    The radius is 1 at the corners. k above 0 is a barrel, below 0 a pincushion (Brown 1966).

    Attributes:
        strength: Greatest k, either way.
    """

    strength: float = setting(0.2, between(0, 0.3))


# Colours. Those that follow each other are composed to one matrix on the channels of an image, and
# cut to 0..255 once.


class Colour(Operation):
    """A change of each pixel's colour."""


@dataclasses.dataclass(frozen=True)
class Brightness(Colour):
    """Adds the same to all pixels.

    Attributes:
        amount: Greatest change as a share of white, either way.
    """

    amount: float = setting(0.1, between(0, 1))


@dataclasses.dataclass(frozen=True)
class Contrast(Colour):
    """Multiplies the distance from the middle grey, 127.5.

    Attributes:
        amount: The factor is up to 1 + `amount`, either way.
    """

    amount: float = setting(0.2, between(0, 10))


@dataclasses.dataclass(frozen=True)
class ColourShift(Colour):
    """Changes the brightness and the contrast of each channel for itself: a colour cast.

    Attributes:
        offset: Greatest change of brightness as a share of white, either way.
        amount: The factor on the contrast is up to 1 + `amount`, either way.
    """

    offset: float = setting(0.05, between(0, 1))
    amount: float = setting(0.0, between(0, 10))


@dataclasses.dataclass(frozen=True)
class Saturation(Colour):
    """Multiplies the distance from the grey of the same mean; nothing happens to grey images.

    Attributes:
        amount: The factor is up to 1 + `amount`, either way.
    """

    amount: float = setting(0.3, between(0, 10))


@dataclasses.dataclass(frozen=True)
class Hue(Colour):
    """Turns colours about the axis of greys; nothing happens to grey images.

    Attributes:
        angle: Greatest angle in radians, either way.
    """

    angle: float = setting(0.1, between(0, math.pi))


@dataclasses.dataclass(frozen=True)
class FancyPCA(Colour):
    """Adds multiples of the principal components of the colours (Krizhevsky et al. 2012, 4.1).

    Each image draws a factor a ~ N(0, `deviation`) for each component and has the sum of
    a * eigenvalue * eigenvector added, in shares of white. Grey images get the mean of the three
    channels; other numbers of channels are refused. The defaults are those of ImageNet's training
    images, as AlexNet's successors use them; `of_images` finds those of others.

    Attributes:
        deviation: Standard deviation of the factors.
        eigenvalues: Variances along the components, of colours 0 to 1.
        eigenvectors: A component a row: its red, green and blue.
    """

    deviation: float = setting(0.1, between(0, 10))
    eigenvalues: tuple[float, float, float] = setting(
        (0.2175, 0.0188, 0.0045),
        Rule("three numbers of at least 0", lambda v: is_vector(v) and min(v) >= 0),
    )
    eigenvectors: tuple[tuple[float, float, float], ...] = setting(
        ((-0.5675, -0.5808, -0.5836), (0.7192, -0.0045, -0.6948), (0.4009, -0.8140, 0.4203)),
        Rule(
            "three rows of three numbers",
            lambda v: isinstance(v, tuple) and len(v) == 3 and all(map(is_vector, v)),
        ),
    )

    @classmethod
    def of_images(cls, images: np.ndarray, deviation: float = 0.1) -> "FancyPCA":
        """With the components of these images, `(n, height, width, 3)` of 0..255."""
        pixels = np.reshape(images, (-1, 3)) / 255.0
        values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False))  # ascending, in columns
        values = np.maximum(values[::-1], 0.0)  # rounding may leave a grey set's below zero
        return cls(deviation, values.tolist(), vectors.T[::-1].tolist())


@dataclasses.dataclass(frozen=True)
class Noise(Operation):
    """Adds normal noise to each pixel and channel.

    Attributes:
        deviation: Greatest standard deviation as a share of white; each image draws its own.
    """

    deviation: float = setting(0.05, between(0, 1))


@dataclasses.dataclass(frozen=True)
class Edges(Operation):
    """Enhances edges: adds a multiple of the difference from the mean of 3 x 3 pixels.

    Attributes:
        amount: Greatest multiple; each image draws its own.
    """

    amount: float = setting(1.0, between(0, 10))


# Loss of information. Annotations stay: what is hidden in part is still there.


@dataclasses.dataclass(frozen=True)
class Erase(Operation):
    """Hides rectangles (cutout, arXiv:1708.04552; random erasing, arXiv:1708.04896).

    Attributes:
        area: Least and greatest share of the image's area, of each rectangle.
        ratio: Least and greatest height over width in pixels; the logarithm is drawn uniformly.
        count: Number of rectangles; they lie within the image, and may overlap.
        value: What is seen there: `"grey"` (114), `"black"`, or `"noise"`, uniform for each pixel.
    """

    area: tuple[float, float] = setting((0.02, 0.33), ordered(0, 1))
    ratio: tuple[float, float] = setting((0.3, 3.3), ordered(0.05, 20))
    count: int = setting(1, whole(1, 64))
    value: str = setting("grey", one_of("grey", "black", "noise"))
    probability: float = setting(0.5, between(0, 1), kw_only=True)


@dataclasses.dataclass(frozen=True)
class GridMask(Operation):
    """Hides the squares of a grid that lies at random, in grey 114 (Chen et al. 2020, 2001.04086).

    Attributes:
        unit: Least and greatest distance of the squares as a share of the shorter side.
        hidden: Side of a square as a share of their distance.
    """

    unit: tuple[float, float] = setting((0.25, 0.5), ordered(0.02, 1))
    hidden: float = setting(0.5, between(0, 1))
    probability: float = setting(0.5, between(0, 1), kw_only=True)


# Mixtures of images. Labels have to be distributions `(batch, classes)`; a data set sees to that.


class Mixture(Operation):
    """Puts images of a batch together, and their labels in the same proportion."""

    mixes: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True)
class Mixup(Mixture):
    """The weighted mean of two images (Zhang et al. 2018, arXiv:1710.09412).

    For labels and targets of regression; not for boxes and masks.

    Attributes:
        alpha: The weight is drawn from Beta(`alpha`, `alpha`); 0 mixes nothing.
    """

    alpha: float = setting(0.2, Rule("0, or 0.05 to 100", lambda v: is_number(v) and _beta(v)))


@dataclasses.dataclass(frozen=True)
class CutMix(Mixture):
    """A rectangle of another image (Yun et al. 2019, arXiv:1905.04899).

    For labels and semantic masks; not for boxes and targets of regression.

    Attributes:
        alpha: The share of the area that stays is drawn from Beta(`alpha`, `alpha`); 0 cuts
            nothing.
    """

    alpha: float = setting(1.0, Rule("0, or 0.05 to 100", lambda v: is_number(v) and _beta(v)))


def _beta(value: float) -> bool:
    return value == 0 or 0.05 <= value <= 100


@dataclasses.dataclass(frozen=True)
class Mosaic(Mixture):
    """Four images that meet in a point (Bochkovskiy et al. 2020, arXiv:2004.10934).

    Each is scaled to cover its corner, to half of its size where the point is the middle, and shows
    what of it lies there; labels weigh as much as their image's area. Boxes, masks and key points
    move along: an image then has room for four times as many objects.

    Attributes:
        centre: Least and greatest place of the point as a share of the sides; 0.5 to 0.5 shows
            the four images whole.
    """

    centre: tuple[float, float] = setting((0.35, 0.65), ordered(0.1, 0.9))


# Policies, which draw what they do.


@dataclasses.dataclass(frozen=True)
class RandAugment(Operation):
    """Some operations out of fourteen, of one strength (Cubuk et al. 2020, arXiv:1909.13719).

    Identity, auto-contrast, equalisation, solarisation, posterisation, colour, contrast,
    brightness, sharpness, rotation, shears and shifts along both axes, with the paper's ranges.

    Attributes:
        layers: Number of operations an image, N in the paper.
        magnitude: Strength of all, M in the paper; 10 is the greatest.
    """

    layers: int = setting(2, whole(1, 8))
    magnitude: float = setting(9.0, between(0, 10))


@dataclasses.dataclass(frozen=True)
class AugMix(Operation):
    """The image mixed with chains of operations on it (Hendrycks et al. 2020, arXiv:1912.02781).

    Auto-contrast, equalisation, posterisation, solarisation, rotation, shears and shifts. Not for
    boxes and masks, as moved pictures are laid over each other.

    Attributes:
        severity: Strength of the operations; 10 is the greatest.
        width: Number of chains.
        depth: Greatest number of operations a chain; each draws one of 1 to `depth`.
        alpha: The weights of the chains are drawn from a Dirichlet distribution, and the weight of
            all of them beside the image itself from a Beta distribution, of this parameter.
    """

    severity: float = setting(3.0, between(0, 10))
    width: int = setting(3, whole(1, 8))
    depth: int = setting(3, whole(1, 8))
    alpha: float = setting(1.0, between(0.05, 100))


OPERATIONS: dict[str, type[Operation]] = {
    kind.key(): kind
    for kind in (
        *(Flip, Shift, Shear, Rotate, Zoom, Stretch, ScaleCrop, ResizedCrop, Crop, Lens),
        *(Brightness, Contrast, ColourShift, Saturation, Hue, FancyPCA, Noise, Edges),
        *(Erase, GridMask, Mixup, CutMix, Mosaic, RandAugment, AugMix),
    )
}
