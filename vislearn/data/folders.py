"""Folders of images: a folder a class, in one piece or already split."""

import difflib
import os
from pathlib import Path

from vislearn.data.splits import SPLITS

_SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}

Files = dict[str, list[tuple[Path, int]]]  # by split: path and class number


def list_folder(folder: Path) -> tuple[tuple[str, ...], Files, list[str]]:
    """Finds the files of a folder of images; opens none.

    Two layouts are understood: `CLASS/FILE`, and `train/CLASS/FILE` beside `test/CLASS/FILE` and
    `val/CLASS/FILE` (or `validation`). Files in folders below a class belong to it. Everything is
    sorted by name, so the result does not depend on the order in which the file system lists it.
    Names that begin with a dot are left out.

    Returns:
        The names of the classes in order; by split the `(path, class number)` of each file, in
        the one split `"all"` for the first layout; and notes on what was left out.

    Raises:
        FileNotFoundError: If there is no such folder; the message suggests near names.
        NotADirectoryError: If it is a file.
        ValueError: If it is empty, has only one class, has a class folder without files, or has a
            class in another split that its training split does not have.
    """
    _check_folder(folder)
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
    files: Files = {}
    for split in ("all", *SPLITS):
        if split not in found:
            continue
        names = [path.name for path in _folders(found[split])]
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
    return classes, files, notes


def _check_folder(folder: Path) -> None:
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
    near = difflib.get_close_matches(folder.name, [path.name for path in _folders(parent)], n=3)
    return f" Did you mean {' or '.join(str(parent / name) for name in near)}?" if near else ""


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _split_folders(folder: Path) -> dict[str, Path]:
    """Folders that hold a split; a folder named like one that has only files in it is a class."""
    found: dict[str, Path] = {}
    for path in _folders(folder):
        split = _SPLIT_NAMES.get(path.name)
        if split is None or not _folders(path):
            continue
        if split in found:
            raise ValueError(f"{folder} has both {found[split].name}/ and {path.name}/; keep one.")
        found[split] = path
    return found


def _check_classes(folder: Path, classes: tuple[str, ...]) -> None:
    if not classes:
        content = "only files" if _visible(folder) else "nothing"
        raise ValueError(f"{folder} holds {content}; it must hold a folder for each class.")
    if len(classes) == 1:
        inner = folder / classes[0]
        hint = f" Did you mean {inner}?" if len(_folders(inner)) > 1 else ""
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
    names = [path.name for path in _visible(folder) if path.name not in used]
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return [f"Left out in {folder}, as they are no class or split: {shown}."]
