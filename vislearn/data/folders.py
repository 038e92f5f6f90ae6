"""Folders of images: a folder a class, in one piece or already split."""

import difflib
import os
import re
from pathlib import Path

from vislearn.data.images import SUFFIXES
from vislearn.data.reading import Listing
from vislearn.data.splits import SPLITS

SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def list_folder(folder: Path) -> Listing:
    """Finds the files of a folder of images; opens none.

    Two layouts are understood: `CLASS/FILE`, and `train/CLASS/FILE` beside `test/CLASS/FILE` and
    `val/CLASS/FILE` (or `validation`). Files in folders below a class belong to it. Everything is
    sorted by name, so the result does not depend on the order in which the file system lists it.
    Names that begin with a dot are left out.

    Returns:
        What was found: paths with class numbers, and notes on what was left out.

    Raises:
        FileNotFoundError: If there is no such folder; the message suggests near names.
        NotADirectoryError: If it is a file.
        ValueError: If it is empty, has only one class, has a class folder without files, or has a
            class in another split that its training split does not have.
    """
    check_folder(folder)
    found = _split_folders(folder)
    notes = _left_out(folder, [path.name for path in found.values()])
    if not found:
        found = {"all": folder}
        notes = []
    elif "train" not in found:
        raise ValueError(
            f"{folder} has {', '.join(path.name + '/' for path in found.values())} but no train/."
        )
    classes = None
    files = {}
    for split in ("all", *SPLITS):
        if split not in found:
            continue
        names = [path.name for path in folders_of(found[split])]
        notes += _left_out(found[split], names)
        if classes is None:  # the training split, or the only one
            classes = tuple(names)
            _check_classes(found[split], classes)
        if extra := sorted({*names} - {*classes}):
            raise ValueError(
                f"{found[split]} has the classes {extra}, which {found['train']} does not have."
            )
        files[split] = [
            (path, classes.index(name)) for name in names for path in _files(found[split] / name)
        ]
    return Listing(classes, files, notes)


def list_images(folder: Path) -> Listing:
    """Finds the images of a folder for generation: with classes as `list_folder`, or without.

    Where there is no folder for each of two classes, all images in it and below it are taken, or
    those of `train/`, `val/` and `test/`; an image is a file whose name ends like one.

    Raises:
        FileNotFoundError, NotADirectoryError: As `list_folder`.
        ValueError: If there is no image.
    """
    check_folder(folder)
    splits = {
        split: folder / name for name, split in SPLIT_NAMES.items() if (folder / name).is_dir()
    }
    if "train" not in splits:
        splits = {"all": folder}
    whole = splits.get("train", folder)
    inside = [path for path in folders_of(whole) if images_below(path)]
    here = [path for path in visible(whole) if path.suffix.lower() in SUFFIXES]
    if len(inside) > 1 and not here:
        return list_folder(folder)
    files = {split: [(path, None) for path in images_below(splits[split])] for split in splits}
    files = {split: found for split, found in files.items() if found}
    if not files:
        raise ValueError(f"{folder} holds no image; images end in {', '.join(SUFFIXES)}.")
    return Listing((), files, ["Images without classes."])


def images_below(folder: Path) -> list[Path]:
    """All files in a folder and below it whose names end like images, sorted by path."""
    found = []
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [
            os.path.join(place, name)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return [Path(path) for path in sorted(found)]


def role_of(name: str) -> str | None:
    """The split that a folder such as `"train"`, `"val"` or `"val2017"` is for, if it is one."""
    return SPLIT_NAMES.get(re.sub(r"\d+$", "", name))


def check_folder(folder: Path) -> None:
    """Raises what is due where a data set should be and is not."""
    if folder.is_dir():
        return
    if folder.exists():
        raise NotADirectoryError(
            f"{folder} is a file; a data set is a folder with a folder for each class."
        )
    raise FileNotFoundError(f"There is no folder {folder}.{_near(folder)}")


def _near(folder: Path) -> str:
    parent = folder.parent
    if not parent.is_dir():
        return f" Nor is there {parent}."
    near = difflib.get_close_matches(folder.name, [path.name for path in folders_of(parent)], n=3)
    return f" Did you mean {' or '.join(str(parent / name) for name in near)}?" if near else ""


def visible(folder: Path) -> list[Path]:
    """What is in a folder and does not begin with a dot, sorted by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def folders_of(folder: Path) -> list[Path]:
    """The visible folders in a folder."""
    return [path for path in visible(folder) if path.is_dir()]


def _split_folders(folder: Path) -> dict[str, Path]:
    """Folders that hold a split; a folder named like one that has only files in it is a class."""
    found: dict[str, Path] = {}
    for path in folders_of(folder):
        split = SPLIT_NAMES.get(path.name)
        if split is None or not folders_of(path):
            continue
        if split in found:
            raise ValueError(f"{folder} has both {found[split].name}/ and {path.name}/; keep one.")
        found[split] = path
    return found


def _check_classes(folder: Path, classes: tuple[str, ...]) -> None:
    if not classes:
        content = "only files" if visible(folder) else "nothing"
        raise ValueError(f"{folder} holds {content}; it must hold a folder for each class.")
    if len(classes) == 1:
        inner = folder / classes[0]
        hint = f" Did you mean {inner}?" if len(folders_of(inner)) > 1 else ""
        raise ValueError(f"{folder} has one class only, {classes[0]!r}; two are needed.{hint}")


def _files(folder: Path) -> list[Path]:
    """All files of a class folder, sorted by their path below it."""
    found = []
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [os.path.join(place, name) for name in names if not name.startswith(".")]
    if not found:
        raise ValueError(f"The class folder {folder} holds no files.")
    return [Path(path) for path in sorted(found)]


def _left_out(folder: Path, used: list[str]) -> list[str]:
    names = [path.name for path in visible(folder) if path.name not in used]
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return [f"Left out in {folder}, as they are no class or split: {shown}."]
