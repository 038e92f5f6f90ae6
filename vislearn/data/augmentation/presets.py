"""Named augmentations, by task."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vislearn.data.augmentation.description import Augmentation, Example
from vislearn.data.augmentation.keypoints import with_pairs
from vislearn.data.augmentation.operations import (
    Brightness,
    ColourShift,
    Contrast,
    Crop,
    Erase,
    FancyPCA,
    Flip,
    Hue,
    RandAugment,
    ResizedCrop,
    Rotate,
    Saturation,
    ScaleCrop,
    Shear,
    Shift,
    Zoom,
)

NONE = Augmentation()
FLIP = Augmentation((Flip(),))
LIGHT = Augmentation((Flip(), Shift(0.05, 0.05), Brightness(0.05), Contrast(0.1)))
# Two views of AlexNet's colours and VGG's scales (He et al. 2015, arXiv:1512.03385, 3.4).
RESNET = Augmentation((ScaleCrop((256, 480), 224), Flip(), FancyPCA(0.1)))

# One class a picture. `standard` pads, crops and mirrors (He et al. 2015, 4.2), which resamples
# nothing; small pictures want no more.
WHOLE = {
    "none": NONE,
    "crop": Augmentation((Crop(0.125),)),
    "flip": FLIP,
    "light": LIGHT,
    "standard": Augmentation((Crop(0.125), Flip())),
    "strong": Augmentation((ResizedCrop((0.35, 1.0)), Flip(), RandAugment(2, 9), Erase())),
    "resnet": RESNET,
    # The strengths that tutorials give Keras's ImageDataGenerator for photographs.
    "imagedatagenerator": Augmentation(
        (
            Rotate(math.radians(40)),
            Shift(0.2, 0.2),
            Shear(0.2),
            Zoom((0.8, 1.25), per_axis=True),
            Flip(),
        ),
        fill="nearest",
    ),
}
# Where objects are annotated. Scales and colours are those that a photograph of the same scene
# from elsewhere could have.
ANNOTATED = {
    "none": NONE,
    "flip": FLIP,
    "light": LIGHT,
    "standard": Augmentation(
        (
            Flip(),
            Zoom((0.8, 1.25), anywhere=True),
            Shift(0.05, 0.05),
            Contrast(0.15),
            ColourShift(0.0, 0.07),
            Brightness(0.08),
        )
    ),
    "strong": Augmentation(
        (
            Flip(),
            Rotate(math.radians(15)),
            Zoom((0.6, 1.6), anywhere=True),
            Shift(0.1, 0.1),
            Contrast(0.3),
            ColourShift(0.0, 0.14),
            Brightness(0.15),
            Saturation(0.4),
            Hue(math.radians(12)),
        )
    ),
    "resnet": RESNET,
    "imagedatagenerator": WHOLE["imagedatagenerator"],
}
# Networks that make pictures learn whatever is done to them, a colour cast or a grey border.
GENERATED = {"none": NONE, "flip": FLIP, "standard": FLIP}
# What learning without labels needs (arXiv:2002.05709, appendix A, at the half strength of its B.9;
# arXiv:2111.06377, Table 8). Strong saturation stands for SimCLR's occasional greyscale; there is
# no blur, which the former leaves out for small pictures. A crop ends at most where the image does:
# with "nearest" its border is resized like the rest.
UNLABELLED = {
    "none": NONE,
    "flip": FLIP,
    "simclr": Augmentation(
        (
            ResizedCrop((0.08, 1.0)),
            Flip(),
            Brightness(0.2),
            Contrast(0.6),
            Saturation(2.0),
            Hue(0.2 * math.pi),
        ),
        fill="nearest",
    ),
    "mae": Augmentation((ResizedCrop((0.2, 1.0)), Flip()), fill="nearest"),
}
PRESETS = {
    "classification": WHOLE,
    "regression": WHOLE,
    "detection": ANNOTATED,
    "semantic_segmentation": ANNOTATED,
    "generation": GENERATED,
    "pretraining": UNLABELLED,
}
AUGMENTATIONS = {task: tuple(presets) for task, presets in PRESETS.items()}

Augment = str | Path | dict[str, Any] | Augmentation | Callable[[Example], Example] | None


def get_augmentation(
    augment: Augment,
    *,
    flips: bool = True,
    task: str = "classification",
    keypoints: Sequence[str] = (),
) -> Augmentation | Callable[[Example], Example] | None:
    """The augmentation of this name, or of this description.

    Args:
        augment: Name of a preset of the task, in `AUGMENTATIONS`: `"none"`; `"crop"`, moved by up
            to an eighth of the side; `"flip"`, half of the pictures mirrored; `"light"`, also
            shifted and recoloured a little; `"standard"`, for classes and values crop and flip,
            for boxes and masks also scaled, shifted and recoloured; `"strong"`; `"resnet"`, scaled
            and cropped; `"imagedatagenerator"`. Or an `Augmentation`, its dictionary, or the path
            of its YAML file. Any other function and None are returned as they are.
        flips: Whether a mirror image keeps its class; without it, presets mirror nothing. For
            regression, presets that move or mirror are right where a picture then keeps its values.
        task: Name of the task.
        keypoints: Names of the data set's key points, by which a flip knows those that exchange
            their places; see `Flip`.

    Returns:
        What is done to a dictionary, or None for nothing.

    Raises:
        ValueError: If there is no such task, if it has no such preset, or if the description is
            unfit.
        FileNotFoundError: If there is no such file.
    """
    if task not in PRESETS:
        raise ValueError(f"task={task!r} must be one of {[*PRESETS]}.")
    augment = _read(augment)
    if isinstance(augment, str):
        if augment not in PRESETS[task]:
            raise ValueError(
                f"augment={augment!r} must be one of {AUGMENTATIONS[task]} for task={task!r}, the "
                "path of a .yaml file, a dictionary, an Augmentation, or a function from "
                "dictionary to dictionary."
            )
        augment = PRESETS[task][augment]
        if not flips:
            kept = (item for item in augment.operations if not isinstance(item, Flip))
            augment = dataclasses.replace(augment, operations=tuple(kept))
    elif augment is not None and not callable(augment):
        raise ValueError(f"augment={augment!r} must be a name, a description or a function.")
    if not isinstance(augment, Augmentation):
        return augment
    if not augment.operations:
        return None
    return with_pairs(augment, keypoints) if keypoints else augment


def recorded(augment: Augment) -> Augment:
    """What stands for it in `config.json`: a name for a preset, a dictionary for a description."""
    augment = _read(augment)
    return augment.to_dict() if isinstance(augment, Augmentation) else augment


def _read(augment: Augment) -> Augment:
    """Dictionaries and files as descriptions; everything else as it is."""
    if isinstance(augment, dict):
        return Augmentation.from_dict(augment)
    if isinstance(augment, str | Path) and str(augment).endswith((".yaml", ".yml")):
        return Augmentation.from_yaml(augment)
    return augment
