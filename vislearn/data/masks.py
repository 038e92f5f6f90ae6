"""Folders of masks: for each image a picture of the same name whose values are classes.

    images/NAME.jpg, masks/NAME.png                      in one piece
    train/images/..., train/masks/..., val/..., test/    already split
    images/train/..., masks/train/..., ...               the same the other way round
    classes.txt                                          optional: a name a line, in the order of
                                                         the numbers, or `NAME RED GREEN BLUE`

A mask holds class numbers, as grey values or through a palette, or colours that `classes.txt`
explains. Pixels of 255, and of colours (255, 255, 255) where no class has that, are ignored.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vislearn.data.annotations import IGNORE
from vislearn.data.folders import SPLIT_NAMES, check_folder, folders_of, images_below, role_of
from vislearn.data.images import read_mask
from vislearn.data.reading import Listing


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """A semantic mask in a file.

    Attributes:
        path: The file.
        classes: How many classes there are.
        colours: Class numbers by `red * 65536 + green * 256 + blue`; None for files of numbers.
    """

    path: Path
    classes: int
    colours: Mapping[int, int] | None = None

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> np.ndarray:
        """`(height, width)` uint8.

        Raises:
            ValueError: If a pixel has no class; the message names file, place and value.
        """
        values = read_mask(self.path)
        if (values.ndim == 3) != (self.colours is not None):
            raise ValueError(
                f"{self.path} holds {'colours' if values.ndim == 3 else 'numbers'}; "
                + (
                    "colours need a classes.txt with lines of NAME RED GREEN BLUE."
                    if values.ndim == 3
                    else "classes.txt gives colours."
                )
            )
        found = values if self.colours is None else self._classes_of(values)
        wrong = (found >= self.classes) & (found != IGNORE)
        if self.colours is not None:
            wrong |= found == _UNKNOWN
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"{self.path}: the pixel at x={column}, y={row} is {values[row, column]}, which is "
                f"none of the {self.classes} classes and not {IGNORE}."
            )
        return found

    def _classes_of(self, values: np.ndarray) -> np.ndarray:
        packed = values.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
        colours, places = np.unique(packed, return_inverse=True)
        numbers = [self.colours.get(int(colour), _UNKNOWN) for colour in colours]
        return np.array(numbers, np.uint8)[places].reshape(packed.shape)


_UNKNOWN = 254  # a colour of no class; no mask may have so many classes


def list_masks(folder: Path, annotations: Path | None = None) -> Listing:
    """Finds images and their masks; opens only what is needed to count the classes.

    Args:
        folder: In one of the layouts above, or a folder of images if `annotations` is given.
        annotations: A folder of masks that is built like `folder`.

    Raises:
        ValueError: If the layout is none of these, an image has no mask, or `classes.txt` is
            malformed.
    """
    places = _places(folder) if annotations is None else _places_beside(folder, annotations)
    if not places:
        raise ValueError(
            f"{folder} has no masks that could be found: it needs images/ and masks/, or "
            "train/images/ and train/masks/; pass annotations= for masks elsewhere."
        )
    pairs = {split: _pairs(*both) for split, both in places.items()}
    home = annotations or folder
    names, colours = _read_classes(home / "classes.txt")
    notes = [f"Masks: {masks} for the images in {images}." for images, masks in places.values()]
    if names is None:
        most = max(_largest(mask) for found in pairs.values() for _, mask in found)
        names = tuple(f"class {number}" for number in range(most + 1))
        notes.append(f"There is no classes.txt; the masks hold numbers up to {most}.")
    files = {
        split: [(image, MaskFile(mask, len(names), colours)) for image, mask in found]
        for split, found in pairs.items()
    }
    return Listing(names, files, notes)


def _places(folder: Path) -> dict[str, tuple[Path, Path]]:
    """By split, where images and masks are."""
    found = {}
    for name, split in SPLIT_NAMES.items():
        for both in (
            (folder / name / "images", folder / name / "masks"),
            (folder / "images" / name, folder / "masks" / name),
        ):
            if both[0].is_dir() and both[1].is_dir():
                if split in found:
                    raise ValueError(f"{folder} has two sets of {split} images; keep one.")
                found[split] = both
    if found and "train" not in found:
        raise ValueError(f"{folder} has {sorted(found)} and nothing to train on.")
    both = folder / "images", folder / "masks"
    if not found and both[0].is_dir() and both[1].is_dir():
        found = {"all": both}
    return found


def _places_beside(folder: Path, annotations: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of splits that both have, or else the two as they are."""
    for path in (folder, annotations):
        check_folder(path)
    found = {}
    for path in folders_of(annotations):
        split = role_of(path.name)
        if split is not None and (folder / path.name).is_dir():
            if split in found:
                raise ValueError(f"{annotations} has two sets of {split} masks; keep one.")
            found[split] = folder / path.name, path
    if found and "train" not in found:
        raise ValueError(f"{annotations} has {sorted(found)} and nothing to train on.")
    return found or {"all": (folder, annotations)}


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Each image with the mask of the same path without its ending."""
    by_name = {path.relative_to(masks).with_suffix(""): path for path in images_below(masks)}
    found = []
    for path in images_below(images):
        name = path.relative_to(images).with_suffix("")
        if name not in by_name:
            raise ValueError(f"The image {path} has no mask {masks / name}.png.")
        found.append((path, by_name[name]))
    if not found:
        raise ValueError(f"{images} holds no image.")
    return found


def _largest(path: Path) -> int:
    values = read_mask(path)
    if values.ndim == 3:
        raise ValueError(
            f"{path} holds colours; they need a classes.txt with lines of NAME RED GREEN BLUE."
        )
    return int(values[values != IGNORE].max(initial=0))


def _read_classes(path: Path) -> tuple[tuple[str, ...] | None, dict[int, int] | None]:
    """The names of the classes and, where there are some, their colours."""
    if not path.is_file():
        return None, None
    names, colours = [], {}
    lines = [line.strip() for line in path.read_text().splitlines()]
    for number, line in enumerate((line for line in lines if line), start=1):
        *words, red, green, blue = ["", "", "", *line.split()]
        if not (words and red.isdecimal() and green.isdecimal() and blue.isdecimal()):
            names.append(line)
            continue
        name = " ".join(word for word in words if word)
        colour = [int(red), int(green), int(blue)]
        if not name or max(colour) > 255:
            raise ValueError(f"{path}: line {number}: {line!r} is no NAME RED GREEN BLUE.")
        key = colour[0] * 65536 + colour[1] * 256 + colour[2]
        if key in colours:
            raise ValueError(f"{path}: line {number}: the colour {colour} is there twice.")
        colours[key] = len(names)
        names.append(name)
    if not names or len({*names}) < len(names):
        raise ValueError(f"{path}: it must hold names, each once.")
    if len(names) > _UNKNOWN:
        raise ValueError(f"{path}: {len(names)} classes are more than {_UNKNOWN}.")
    if colours and len(colours) < len(names):
        raise ValueError(f"{path}: either all classes have a colour or none.")
    if colours:
        colours.setdefault(0xFFFFFF, IGNORE)
    return tuple(names), colours or None
