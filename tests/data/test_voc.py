"""Pascal VOC: what is read, by which rule, and what is refused."""

import numpy as np
import pytest

from tests.data.conftest import encoded
from vislearn.data import load_dataset

pytestmark = pytest.mark.tensorflow

SIZE = (30, 40)  # height, width


def xml(*objects: str, size=SIZE) -> str:
    height, width = size
    return (
        f"<annotation><filename>elsewhere.jpg</filename><size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
    )


def item(name="cell", box=(1, 1, 10, 10), more="") -> str:
    edges = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inside = "".join(f"<{edge}>{value}</{edge}>" for edge, value in edges)
    return f"<object><name>{name}</name>{more}<bndbox>{inside}</bndbox></object>"


@pytest.fixture
def make_voc(tmp_path):
    """A function that writes a VOC folder; each image is black with its objects in white."""

    def make(pictures: dict[str, str], splits: dict[str, str] | None = None, below=""):
        root = tmp_path / "cells" / below
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (root / name).mkdir(parents=True)
        for name, text in pictures.items():
            (root / "Annotations" / f"{name}.xml").write_text(text)
            image = np.zeros((*SIZE, 3), np.uint8)
            (root / "JPEGImages" / f"{name}.png").write_bytes(encoded(image))
        for name, ids in (splits or {}).items():
            (root / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(ids.split()) + "\n")
        return tmp_path / "cells"

    return make


def load(folder, **options):
    return load_dataset(folder, task="detection", batch_size=1, **{"quiet": True, **options})


@pytest.mark.parametrize("below", ["", "VOCdevkit"])
def test_reads_official_splits_and_boxes(make_voc, below):
    folder = make_voc(
        {
            "a": xml(item("dog", (1, 1, 40, 30)), item("cat", (11, 6, 11, 6))),
            "b": xml(item("cat", (2.5, 3, 20, 25), "<difficult>1</difficult>")),
            "c": xml(),
            "d": xml(item("dog", more="<difficult>0</difficult>")),
            "unused": xml(item("newt")),
        },
        {"train": "a c", "val": "b", "trainval": "a b c", "test": "d"},
        below,
    )
    data = load(folder)
    assert data.info.counts == {"train": 2, "validation": 1, "test": 1}
    assert data.info.classes == ("cat", "dog")
    assert [path.stem for path in data.paths("train")] == ["a", "c"]
    train = data.arrays("train")
    # Counted from 1, the last pixel included.
    np.testing.assert_array_equal(train["boxes"][0], [[0, 0, 40, 30], [10, 5, 11, 6]])
    np.testing.assert_array_equal(train["labels"], [[1, 0], [-1, -1]])
    validation = data.arrays("validation")
    np.testing.assert_array_equal(validation["boxes"][0, 0], [1.5, 2, 20, 25])
    np.testing.assert_array_equal(validation["crowd"], [[True, False]])
    assert not data.arrays("test")["crowd"].any()
    notes = " ".join(data.info.notes)
    assert "Pascal VOC in" in notes and "Official splits: train, validation, test." in notes
    assert "1 images are in no split" in notes


def test_trainval_alone_is_the_training_set(make_voc):
    pictures = {name: xml(item(more=f"<pose>{name}</pose>")) for name in "abcdefghijkl"}
    data = load(make_voc(pictures, {"trainval": "a b c d e f g h i j", "test": "k l"}))
    assert data.info.counts == {"train": 9, "validation": 1, "test": 2}
    assert "10% of the training images" in " ".join(data.info.notes)


def test_without_lists_it_is_split_by_the_rarest_class(make_voc):
    pictures = {f"{n:02}": xml(item("common"), *[item("rare")] * (n % 5 == 0)) for n in range(50)}
    data = load(make_voc(pictures))
    assert data.info.counts == {"train": 35, "validation": 5, "test": 10}
    rare = [(data.arrays(split)["labels"] == 1).any(1).sum() for split in data.info.counts]
    assert rare == [7, 1, 2]


def test_resizing_stretches_unless_told_otherwise(make_voc):
    folder = make_voc({"a": xml(item(box=(1, 1, 20, 30)))}, {"train": "a"})
    for resize, box in ((None, [0, 0, 30, 60]), ("pad", [0, 0, 30, 45]), ("crop", [0, 0, 30, 60])):
        data = load(folder, image_size=60, resize=resize)
        found = data.arrays("train")["boxes"][0, 0]
        np.testing.assert_allclose(found, box if resize != "crop" else [0, 0, 30, 60], atol=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", r"a\.xml: no XML: .*line 1"),
        (xml("<object><bndbox/></object>"), r"a\.xml: object 1 has no name"),
        (xml(item(), item(" ")), r"a\.xml: object 2 has no name"),
        (xml("<object><name>x</name></object>"), r"a\.xml: object 1 has no bndbox/xmin"),
        (xml(item(box=(1, 2, "wide", 4))), r"object 1: bndbox/xmax is 'wide', not a number"),
        (xml(item(box=(1, 2, "nan", 4))), r"object 1: the box .* is not finite"),
        (xml(item(more="<difficult>no</difficult>")), r"object 1: difficult is 'no'"),
        (xml(item(), size=("high", 40)), r"a\.xml: size/height is 'high'"),
        (xml(item(), size=(40, 30)), r"object 1: .* for 30 x 40 pixels, and the image has 40 x 30"),
    ],
)
def test_malformed_files_are_named(make_voc, text, message):
    folder = make_voc({"a": text, "b": xml(item())}, {"train": "b a"})
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_boxes_are_mended_and_counted(make_voc, capsys):
    boxes = [(5, 5, 3, 9), (-4, 2, 50, 12), (60, 1, 70, 9), (1, 1, 5, 5)]
    folder = make_voc({"a": xml(*(item(box=box) for box in boxes))}, {"train": "a"})
    data = load(folder, quiet=False)
    np.testing.assert_array_equal(data.arrays("train")["boxes"][0], [[0, 1, 40, 12], [0, 0, 5, 5]])
    notes = " ".join(data.info.notes)
    for rule in ("1 empty or inverted", "1 boxes that exceed", "1 boxes outside"):
        assert rule in notes
    assert "a.xml: object 1: the box" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"a\.xml: object 1: the box"):
        load(folder, strict=True)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": "a", "test": "a"}, "'a' is in train and in test"),
        ({"train": "a a"}, "'a' is in train and in train"),
        ({"train": "a gone"}, "train image 'gone' has no file in JPEGImages"),
        ({"test": "a"}, r"neither train\.txt nor trainval\.txt"),
        ({"train": ""}, "has no annotated image"),
    ],
)
def test_wrong_splits(make_voc, splits, message):
    folder = make_voc({"a": xml(item())}, splits)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(folder)


def test_missing_annotation(make_voc):
    folder = make_voc({"a": xml(item()), "b": xml(item())}, {"train": "a b"})
    (folder / "Annotations" / "b.xml").unlink()
    with pytest.raises(ValueError, match=r"train image 'b' has no b\.xml"):
        load(folder)


def test_zeros_are_no_size_and_no_object_is_no_data(make_voc):
    folder = make_voc({"a": xml(item(), size=(0, 0)), "b": xml()}, {"train": "a b"})
    assert load(folder).info.counts == {"train": 2}
    (folder / "Annotations" / "a.xml").write_text(xml())
    with pytest.raises(ValueError, match="no annotation has an object"):
        load(folder)


def test_voc_has_no_extras(make_voc):
    folder = make_voc({"a": xml(item())}, {"train": "a"})
    with pytest.raises(ValueError, match=r"extras=.'keypoints'"):
        load(folder, extras=["keypoints"])


def test_bccd(bccd):
    data = load(bccd, image_size=(48, 64))
    assert data.info.counts == {"train": 205, "validation": 87, "test": 72}
    assert data.info.classes == ("Platelets", "RBC", "WBC")
    labels = data.arrays("all")["labels"]
    np.testing.assert_array_equal(np.bincount(labels[labels >= 0]), [361, 4155, 372])
    assert data.info.skipped == ()
    # Counted in the files: 237 boxes end with the last column, none exceeds its image.
    boxes = data.arrays("all")["boxes"][labels >= 0]
    assert np.sum(boxes[:, 2] == 64) == 237
    assert not any("boxes" in note for note in data.info.notes)
