"""`vislearn data show` and `vislearn data info`."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from vislearn import cli, pictures

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process; returns exit status, output and errors."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vislearn", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, " ".join(err.split())

    return call


def test_info_counts_what_is_there(run):
    status, out, _ = run("info", "digits", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["counts"] == {"train": 1259, "validation": 179, "test": 359}
    assert facts["own_sizes"] == {"8x8": 1797} and not facts["flips"]
    assert 70 < facts["preprocessing"]["mean"][0] < 85
    for split, count in facts["counts"].items():
        assert sum(figures[split] for figures in facts["contents"].values()) == count


def test_show_draws_originals_and_versions(run, tmp_path):
    out = tmp_path / "grid.png"
    status, text, _ = run("show", "digits", "--out", out, "--count", 2, "--versions", 3)
    assert status == 0 and "2 pictures, each with 3 versions" in text
    assert "Nothing is mirrored" in text
    with Image.open(out) as picture:
        assert picture.width > picture.height


def test_show_mixes_and_tells_only_what_was_left_out(run, tmp_path):
    """A description is taken at its word: its flip mirrors digits, too."""
    augment, out = tmp_path / "mixed.yaml", tmp_path / "new" / "grid.png"
    augment.write_text("operations: [flip, mixup]")
    status, text, _ = run("show", "digits", "--out", out, "--augment", augment, "--count", 4)
    assert status == 0 and out.is_file()
    assert "Nothing is mirrored" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "grid.jpg"), "path='grid.jpg' must end with one of"),
        (("--augment", "wild"), "augment='wild' must be one of"),
        (("--engine", "photoshop"), "engine='photoshop' must be one of"),
        (("--count", "0"), "count=0 must be at least 1"),
    ],
)
def test_show_says_what_is_wrong(run, tmp_path, arguments, message):
    status, _, err = run("show", "digits", "--out", tmp_path / "grid.png", *arguments)
    assert status == 1 and message in err


def picture(**more):
    return {"images": np.zeros((8, 8, 3), np.uint8), **more}


def test_grid_names_the_class_and_the_mixture():
    row = [picture(labels=np.int32(1)), picture(labels=np.float32([0.25, 0.75]))]
    figure = pictures.augmentation_grid([row], ["cat", "dog"])
    assert figure.axes[0].get_title(loc="left") == "dog"
    assert [text.get_text() for text in figure.axes[1].texts] == ["dog 75%, cat 25%"]


def test_grid_names_values():
    row = [picture(targets=np.float32([31.5, 2.0]))]
    figure = pictures.augmentation_grid([row], ["age", "height"])
    assert figure.axes[0].get_title(loc="left") == "age 31.5, height 2"


def test_grid_draws_boxes_and_the_key_points_that_are_seen():
    objects = {
        "boxes": np.float32([[1, 1, 5, 5], [0, 0, 0, 0]]),
        "labels": np.int32([0, -1]),
        "keypoints": np.float32([[[2, 2, 1], [9, 9, 0]], [[0, 0, 0], [0, 0, 0]]]),
    }
    (axes,) = pictures.augmentation_grid([[picture(**objects)]], ["cat"]).axes
    (box,) = axes.patches
    assert (box.get_x(), box.get_y(), box.get_width()) == (0.5, 0.5, 4)
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[1.5, 1.5]])


def test_grid_refuses_rows_of_different_lengths():
    with pytest.raises(ValueError, match="all need as many"):
        pictures.augmentation_grid([[picture()], [picture(), picture()]], [])
