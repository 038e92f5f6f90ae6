"""Pascal VOC: an XML file of boxes for each image.

    Annotations/ID.xml    size, and for each object its name, box and whether it is difficult
    JPEGImages/ID.jpg
    ImageSets/Main/{train,val,trainval,test}.txt    the official splits, an ID a line

Everingham et al., The Pascal Visual Object Classes (VOC) Challenge, IJCV 2010. Pixels are counted
from 1 and the last belongs to the box, so its edges are xmin - 1, ymin - 1, xmax, ymax.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from vislearn.data.annotations import Objects
from vislearn.data.folders import folders_of
from vislearn.data.images import SUFFIXES
from vislearn.data.reading import Listing

_EDGES = ("xmin", "ymin", "xmax", "ymax")


def find_voc(folder: Path) -> Path | None:
    """The folder with `Annotations` and `JPEGImages`: this one, or the only such one in it."""
    found = [
        path
        for path in (folder, *folders_of(folder))
        if (path / "Annotations").is_dir() and (path / "JPEGImages").is_dir()
    ]
    return found[0] if found and (found[0] == folder or len(found) == 1) else None


def list_voc(root: Path) -> Listing:
    """Reads the annotations of a VOC folder.

    The classes are the names of all objects in alphabetical order. `train.txt` and `val.txt` are
    the training and validation images; where only `trainval.txt` is there it is the training set.
    Without `ImageSets/Main` the data comes in one piece. Images are found by their ID, not by the
    `filename` in the XML, which is often that of another machine.

    Raises:
        ValueError: If a file is malformed (the message names file, object and field), an image has
            no annotation or no file, or one image is in two splits.
        FileNotFoundError: If there is no annotation.
    """
    notes = [f"Pascal VOC in {root}."]
    images = {
        path.stem: path
        for path in sorted((root / "JPEGImages").iterdir())
        if path.suffix.lower() in SUFFIXES
    }
    splits = _official_splits(root, notes)
    if not splits:
        splits = {"all": sorted(path.stem for path in (root / "Annotations").glob("*.xml"))}
    if not any(splits.values()):
        raise FileNotFoundError(f"{root} has no annotated image.")
    raw = {}
    for split, names in splits.items():
        for name in names:
            path = root / "Annotations" / f"{name}.xml"
            if name not in images:
                raise ValueError(f"{root}: the {split} image {name!r} has no file in JPEGImages.")
            if not path.is_file():
                raise ValueError(f"{root}: the {split} image {name!r} has no {path.name}.")
            raw[name] = _read(path)
    if unused := len(images.keys() - raw.keys()):
        notes.append(f"{unused:,} images are in no split and are not used.")
    classes = tuple(sorted({label for _, objects in raw.values() for label, _, _, _ in objects}))
    if not classes:
        raise ValueError(f"{root}: no annotation has an object.")
    numbers = {name: number for number, name in enumerate(classes)}

    def objects_of(name: str) -> Objects:
        size, found = raw[name]
        return Objects(
            np.array([box for _, box, _, _ in found], np.float64).reshape(-1, 4),
            np.array([numbers[label] for label, _, _, _ in found], np.int32),
            np.array([difficult for _, _, difficult, _ in found], bool),
            [where for _, _, _, where in found],
            size=size,
        )

    files = {
        split: [(images[name], objects_of(name)) for name in names]
        for split, names in splits.items()
    }
    return Listing(classes, files, notes)


def _official_splits(root: Path, notes: list[str]) -> dict[str, list[str]]:
    """IDs by split, of those of the four files that are there."""
    folder = root / "ImageSets" / "Main"
    lists = {
        name: _read_ids(folder / f"{name}.txt")
        for name in ("train", "val", "trainval", "test")
        if (folder / f"{name}.txt").is_file()
    }
    if not lists:
        return {}
    if "train" not in lists:
        if "trainval" not in lists:
            raise ValueError(f"{folder} has neither train.txt nor trainval.txt.")
        lists["train"] = [n for n in lists["trainval"] if n not in {*lists.get("val", ())}]
    names = {"train": "train", "validation": "val", "test": "test"}
    splits = {split: lists[name] for split, name in names.items() if name in lists}
    seen: dict[str, str] = {}
    for split, ids in splits.items():
        for name in ids:
            if name in seen:
                raise ValueError(f"{folder}: {name!r} is in {seen[name]} and in {split}.")
            seen[name] = split
    notes.append(f"Official splits: {', '.join(splits)}.")
    return splits


def _read_ids(path: Path) -> list[str]:
    """The first word of each line; lists of a class have a second one, which says if it occurs."""
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]


def _read(path: Path):
    """Size, and name, box, difficulty and place in the file of each object."""
    try:
        tree = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: no XML: {error}.") from error
    size = None
    if tree.find("size") is not None:
        size = tuple(int(_number(tree, f"size/{side}", str(path))) for side in ("height", "width"))
        # Some tools write zeros for a size that they do not know.
        size = None if size == (0, 0) else size
    objects = []
    for number, element in enumerate(tree.findall("object"), start=1):
        where = f"{path}: object {number}"
        label = _text(element, "name", where)
        x1, y1, x2, y2 = (_number(element, f"bndbox/{edge}", where) for edge in _EDGES)
        difficult = element.find("difficult") is not None and (
            _number(element, "difficult", where) != 0
        )
        objects.append((label, (x1 - 1, y1 - 1, x2, y2), difficult, where))
    return size, objects


def _text(element, field: str, where: str) -> str:
    found = element.find(field)
    text = None if found is None else (found.text or "").strip()
    if not text:
        raise ValueError(f"{where} has no {field}.")
    return text


def _number(element, field: str, where: str) -> float:
    text = _text(element, field, where)
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{where}: {field} is {text!r}, not a number.") from error
