"""Folders of images with a table of measured quantities."""

import csv
import math
from pathlib import Path

from vislearn.data.folders import SPLIT_NAMES, check_folder
from vislearn.data.reading import Listing
from vislearn.data.splits import SPLITS

TABLE = "targets.csv"
FILE = "file"


def list_targets(folder: Path) -> Listing:
    """Finds the images of a folder and what was measured of each; opens no image.

    The folder holds `targets.csv`: a line of names, of which one is `file` and each other a
    quantity, and a line an image, whose file is named as seen from the table. Data that is split
    has such a table in `train/`, and in `test/` and `val/` (or `validation/`) with the same names.

    Returns:
        Paths with tuples of values; the classes are the names of the quantities.

    Raises:
        FileNotFoundError: If there is no such folder or no table, or if a file that a table names
            is missing.
        NotADirectoryError: If it is a file.
        ValueError: If a table holds no image or no quantity, names one twice, has a line that is
            too short or too long, or a value that is no finite number, or if tables differ in their
            quantities.
    """
    check_folder(folder)
    tables = {"all": folder / TABLE}
    if not tables["all"].is_file():
        tables = {
            split: folder / name / TABLE
            for name, split in SPLIT_NAMES.items()
            if (folder / name / TABLE).is_file()
        }
        if "train" not in tables:
            raise FileNotFoundError(f"{folder} holds no {TABLE}, nor does {folder / 'train'}.")
    names, files = None, {}
    for split in ("all", *SPLITS):
        if split in tables:
            found, files[split] = _read(tables[split])
            names = names or found
            if found != names:
                raise ValueError(f"{tables[split]} has the quantities {found}, not {names}.")
    return Listing(names, files, [])


def _read(table: Path) -> tuple[tuple[str, ...], list[tuple[Path, tuple[float, ...]]]]:
    """The names of the quantities, and each image with its values."""
    with open(table, newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.reader(lines))
    heads = [head.strip() for head in rows[0]] if rows else []
    names = tuple(head for head in heads if head != FILE)
    if len(names) != len(heads) - 1 or not names or len({*names}) < len(names) or "" in names:
        raise ValueError(
            f"{table} begins with {heads}: it must name the column {FILE!r} and one or more "
            "quantities, each once."
        )
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(heads):
            raise ValueError(
                f"{table}, line {number}, has {len(row)} values for {len(heads)} columns."
            )
        cells = dict(zip(heads, row, strict=True))
        path = table.parent / cells.pop(FILE).strip()
        if not path.is_file():
            raise FileNotFoundError(f"{table}, line {number}: there is no file {path}.")
        found.append((path, tuple(_number(table, number, *cell) for cell in cells.items())))
    if not found:
        raise ValueError(f"{table} holds no image.")
    return names, found


def _number(table: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{table}, line {line}: {name}={text!r} is no finite number.")
    return value
