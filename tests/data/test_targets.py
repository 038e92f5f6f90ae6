"""Folders of images with a table of measured quantities."""

import numpy as np
import pytest
from PIL import Image

from vislearn.data import load_dataset

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures, each as grey as its number says."""
    lines = ["file,grey,twice"]
    for index in range(20):
        Image.fromarray(np.full((8, 8), index, np.uint8)).save(tmp_path / f"{index:02}.png")
        lines.append(f"{index:02}.png,{index},{2 * index}.5")
    (tmp_path / "targets.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def load(folder, **options):
    return load_dataset(folder, task="regression", quiet=True, **options)


def test_in_one_piece(folder):
    data = load(folder, batch_size=4)
    assert data.info.classes == ("grey", "twice")
    assert data.info.counts == {"train": 14, "validation": 2, "test": 4}
    found = data.arrays("all")
    np.testing.assert_array_equal(found["images"][:, 0, 0, 0], found["targets"][:, 0])
    np.testing.assert_array_equal(found["targets"][:, 1], 2 * found["targets"][:, 0] + 0.5)
    assert list(data.annotations("test")) == ["targets"]
    images, targets = next(iter(data.train))
    np.testing.assert_array_equal(images[:, 0, 0, 0], targets[:, 0])


def test_a_column_order_of_its_own(folder):
    (folder / "targets.csv").write_text("\ufeffgrey, file\n1,01.png\n\n2,02.png\n3,03.png\n")
    data = load(folder, batch_size=1)
    assert data.info.classes == ("grey",)
    assert sorted(data.arrays("all")["targets"].ravel()) == [1, 2, 3]


def test_standard_augmentation_moves_pictures_and_keeps_values(folder):
    data = load(folder, batch_size=4, augment="standard")
    images, targets = next(iter(data.train))
    np.testing.assert_array_equal(images[:, 0, 0, 0], targets[:, 0])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "must name the column 'file'"),
        ("file\n01.png\n", "one or more"),
        ("grey,twice\n1,2\n", "must name the column 'file'"),
        ("file,grey,grey\n01.png,1,2\n", "each once"),
        ("file,grey\n", "holds no image"),
        ("file,grey\n01.png\n", "line 2, has 1 values for 2 columns"),
        ("file,grey\n01.png,1\n02.png,much\n", "line 3: grey='much' is no finite number"),
        ("file,grey\n01.png,nan\n", "grey='nan' is no finite number"),
    ],
)
def test_wrong_tables(folder, table, message):
    (folder / "targets.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_missing_files(folder, tmp_path):
    (folder / "targets.csv").write_text("file,grey\nnone.png,1\n")
    with pytest.raises(FileNotFoundError, match=r"line 2: there is no file .*none\.png"):
        load(folder)
    (folder / "targets.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no targets\.csv"):
        load(folder)


def test_splits_must_agree(folder):
    table = (folder / "targets.csv").read_text()
    (folder / "targets.csv").unlink()
    for split, text in (("train", table), ("val", table.replace("twice", "half"))):
        (folder / split).mkdir()
        (folder / split / "targets.csv").write_text(text.replace("\n0", "\n../0"))
        for index in range(10, 20):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / split / f"{index}.png")
    with pytest.raises(ValueError, match=r"has the quantities \('grey', 'half'\), not"):
        load(folder)
