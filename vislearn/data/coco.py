"""COCO: one JSON file of boxes, outlines and key points for all images of a split.

    annotations/instances_SPLIT.json    "images", "annotations", "categories"
    SPLIT/                              the images, also as images/SPLIT

Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, arXiv:1405.0312. The numbers of
the categories have gaps; here they become 0 to n - 1 in their order.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vislearn.data.annotations import Objects
from vislearn.data.folders import folders_of, role_of
from vislearn.data.images import Fit
from vislearn.data.reading import Listing


@dataclasses.dataclass(frozen=True)
class Polygons:
    """The area within some polygons, each `(n, 2)` x and y in pixels of the image."""

    outlines: Sequence[np.ndarray]

    def mask(self, fit: Fit) -> np.ndarray:
        from pycocotools import mask

        moved = [fit.points(outline).ravel().tolist() for outline in self.outlines]
        return mask.decode(mask.merge(mask.frPyObjects(moved, *fit.size))).astype(bool)


@dataclasses.dataclass(frozen=True)
class RunLengths:
    """COCO's run lengths, `{"size": [height, width], "counts": list or compressed text}`."""

    code: Mapping[str, Any]

    def mask(self, fit: Fit) -> np.ndarray:
        from pycocotools import mask

        code = self.code
        if not isinstance(code["counts"], str):
            code = mask.frPyObjects(code, *code["size"])
        return fit.mask(mask.decode(code).astype(bool))


def find_coco(folder: Path) -> dict[str, tuple[Path, Path]]:
    """By split the annotation file and the folder of its images.

    Looked for in the folder, or one level down where only one folder has any.
    """
    found = {path: _splits_in(path) for path in (folder, *folders_of(folder))}
    if found[folder]:
        return found[folder]
    below = [splits for splits in found.values() if splits]
    return below[0] if len(below) == 1 else {}


def _splits_in(folder: Path) -> dict[str, tuple[Path, Path]]:
    splits: dict[str, tuple[Path, Path]] = {}
    for path in sorted((folder / "annotations").glob("instances_*.json")):
        name = path.stem.removeprefix("instances_")
        role = role_of(name)
        if role is None:
            continue
        if role in splits:
            raise ValueError(f"{splits[role][0]} and {path} are both for {role}; keep one.")
        places = [folder / name, folder / "images" / name]
        images = next((place for place in places if place.is_dir()), None)
        if images is None:
            raise FileNotFoundError(
                f"{path} has no images: there is no {' nor '.join(map(str, places))}."
            )
        splits[role] = path, images
    if splits and "train" not in splits:
        raise ValueError(f"{folder / 'annotations'} has {sorted(splits)} and nothing to train on.")
    return splits


def list_coco(splits: dict[str, tuple[Path, Path]], extras: Sequence[str] = ()) -> Listing:
    """Reads annotation files.

    Args:
        splits: By split the file and the folder of its images.
        extras: `"instance_masks"` if outlines, `"keypoints"` if key points are needed.

    Raises:
        ValueError: If a file is malformed; the message names file, record and field.
        FileNotFoundError: If there is no such file.
    """
    files, notes, classes, keypoints = {}, [], None, ()
    for split, (path, folder) in splits.items():
        file = _File(path, extras)
        if classes is None:
            first, classes, keypoints = path, file.categories, file.keypoint_names
        elif file.categories != classes:
            raise ValueError(f"{path} has other categories than {first}.")
        files[split] = file.pictures(folder)
        notes.append(f"COCO: {path} with the images in {folder}.")
    return Listing(tuple(classes.values()), files, notes, keypoints)


class _File:
    """One annotation file, checked on reading."""

    def __init__(self, path: Path, extras: Sequence[str]):
        self._path, self._extras = path, extras
        try:
            content = json.loads(path.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: no JSON: {error}.") from error
        if not isinstance(content, dict):
            raise ValueError(f"{path}: no COCO file: it holds no object at the top.")
        self._images = self._records(content, "images")
        self._annotations = self._records(content, "annotations")
        categories = {}
        for where, record in self._records(content, "categories"):
            number = self._field(record, where, "id", int)
            if number in categories:
                raise ValueError(f"{where}: the id {number} is there twice.")
            categories[number] = self._field(record, where, "name", str), record, where
        if not categories:
            raise ValueError(f"{path}: categories is empty.")
        self.categories = {number: categories[number][0] for number in sorted(categories)}
        self.keypoint_names = self._keypoint_names(categories)

    def _keypoint_names(self, categories) -> tuple[str, ...]:
        if "keypoints" not in self._extras:
            return ()
        found = {
            tuple(self._field(record, where, "keypoints", list))
            for _, record, where in categories.values()
            if "keypoints" in record
        }
        if len(found) != 1:
            raise ValueError(
                f"{self._path}: extras='keypoints' needs one list of key points, and the "
                f"categories have {len(found)}."
            )
        return found.pop()

    def _records(self, content: dict, name: str) -> list[tuple[str, dict]]:
        """The records of a list with where they are, for messages."""
        if not isinstance(content.get(name), list):
            raise ValueError(f"{self._path}: no COCO file: it has no list {name!r}.")
        found = []
        for index, record in enumerate(content[name]):
            where = f"{self._path}: {name}[{index}]"
            if not isinstance(record, dict):
                raise ValueError(f"{where} is no object.")
            found.append((where, record))
        return found

    def _field(self, record: dict, where: str, name: str, kind: type | tuple[type, ...]):
        value = record.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            what = "is missing" if name not in record else f"is {value!r}"
            raise ValueError(f"{where}: {name} {what}.")
        return value

    def _numbers(self, record: dict, where: str, name: str, count: int) -> list[float]:
        values = self._field(record, where, name, list)
        if len(values) != count or not all(_is_number(value) for value in values):
            raise ValueError(f"{where}: {name} is {values!r}, not {count} numbers.")
        return values

    def pictures(self, folder: Path) -> list[tuple[Path, Objects]]:
        """Path and objects of each image, in the order of the file."""
        numbers = {category: number for number, category in enumerate(self.categories)}
        objects: dict[int, list] = {}
        pictures = {}
        for where, record in self._images:
            image = self._field(record, where, "id", int)
            if image in objects:
                raise ValueError(f"{where}: the id {image} is there twice.")
            objects[image] = []
            name = Path(self._field(record, where, "file_name", str))
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"{where}: file_name {str(name)!r} leads out of {folder}.")
            sides = ("height", "width")
            size = tuple(self._field(record, where, side, int) for side in sides)
            pictures[image] = folder / name, size
        for where, record in self._annotations:
            image = self._field(record, where, "image_id", int)
            if image not in objects:
                raise ValueError(f"{where}: image_id {image} is that of no image.")
            category = self._field(record, where, "category_id", int)
            if category not in numbers:
                raise ValueError(f"{where}: category_id {category} is that of no category.")
            label, size = numbers[category], pictures[image][1]
            objects[image].append(self._object(record, where, label, size))
        return [
            (path, self._pack(objects[image], size)) for image, (path, size) in pictures.items()
        ]

    def _object(self, record: dict, where: str, label: int, size: tuple[int, int]) -> tuple:
        x, y, width, height = self._numbers(record, where, "bbox", 4)
        crowd = bool(record.get("iscrowd", 0))
        keypoints = region = None
        if "keypoints" in self._extras:
            count = len(self.keypoint_names)
            keypoints = np.zeros((count, 3))
            if "keypoints" in record:
                values = self._numbers(record, where, "keypoints", 3 * count)
                keypoints = np.array(values, np.float64).reshape(count, 3)
                keypoints[:, 2] = keypoints[:, 2] > 0  # 1: hidden, and yet its place is known
        if "instance_masks" in self._extras:
            region = self._region(record, where, size)
        return (x, y, x + width, y + height), label, crowd, where, keypoints, region

    def _region(
        self, record: dict, where: str, image_size: tuple[int, int]
    ) -> Polygons | RunLengths:
        value = record.get("segmentation")
        if isinstance(value, list) and value:
            if not all(_is_polygon(outline) for outline in value):
                raise ValueError(
                    f"{where}: segmentation is no list of polygons, each of at least three pairs."
                )
            return Polygons([np.array(outline).reshape(-1, 2) for outline in value])
        if isinstance(value, dict):
            size = self._numbers(value, f"{where}: segmentation", "size", 2)
            counts = self._field(value, f"{where}: segmentation", "counts", (str, list))
            if isinstance(counts, list) and (
                not all(isinstance(count, int) and count >= 0 for count in counts)
                or sum(counts) != size[0] * size[1]
            ):
                raise ValueError(f"{where}: segmentation: counts do not add up to the size {size}.")
            if tuple(size) != image_size:
                raise ValueError(
                    f"{where}: segmentation has the size {size}, the image {[*image_size]}."
                )
            return RunLengths(value)
        raise ValueError(f"{where}: segmentation is {value!r}, neither polygons nor run lengths.")

    def _pack(self, objects: list[tuple], size: tuple[int, int]) -> Objects:
        boxes, labels, crowd, names, keypoints, regions = (
            zip(*objects, strict=True) if objects else [()] * 6
        )
        count = len(self.keypoint_names)
        return Objects(
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(labels, np.int32),
            np.array(crowd, bool),
            names,
            np.array(keypoints).reshape(-1, count, 3) if count else None,
            regions if "instance_masks" in self._extras else None,
            size,
        )


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_polygon(value) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 6
        and len(value) % 2 == 0
        and all(map(_is_number, value))
    )
