"""COCO files: what is read, by which rule, and what is refused."""

import copy
import json

import numpy as np
import pytest

from tests.data.conftest import encoded
from vislearn.data import load_dataset
from vislearn.data.coco import Polygons, RunLengths
from vislearn.data.images import plan_fit
from vislearn.data.shapes import tight_box

pytestmark = pytest.mark.tensorflow

SQUARE = [4, 6, 14, 6, 14, 26, 4, 26]
CONTENT = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 40, "height": 30},
        {"id": 3, "file_name": "b.png", "width": 40, "height": 30},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [4, 6, 10, 20], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5], "iscrowd": 1},
    ],
    "categories": [{"id": 90, "name": "newt"}, {"id": 2, "name": "cat"}, {"id": 13, "name": "ape"}],
}


def with_masks(content: dict) -> dict:
    content = copy.deepcopy(content)
    content["annotations"][0]["segmentation"] = [SQUARE]
    # Columns first: the first five columns are filled for five rows, 25 are left.
    counts = [0, *[5, 25] * 5, 0, 35 * 30]
    counts[-3:] = [25 + 35 * 30]
    content["annotations"][1]["segmentation"] = {"size": [30, 40], "counts": counts}
    return content


@pytest.fixture
def make_coco(tmp_path):
    """A function that writes splits of a COCO folder; images are black."""

    def make(splits: dict[str, dict | str], images="{}"):
        root = tmp_path / "coco"
        (root / "annotations").mkdir(parents=True)
        for name, content in splits.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (root / "annotations" / f"instances_{name}.json").write_text(text)
            folder = root / images.format(name)
            folder.mkdir(parents=True, exist_ok=True)
            for file in "ab":
                pixels = np.zeros((30, 40, 3), np.uint8)
                (folder / f"{file}.png").write_bytes(encoded(pixels))
        return root

    return make


def load(folder, **options):
    return load_dataset(folder, task="detection", batch_size=1, **{"quiet": True, **options})


@pytest.mark.parametrize("images", ["{}", "images/{}"])
def test_reads_splits_boxes_and_classes(make_coco, images):
    data = load(make_coco({"train2017": CONTENT, "val2017": CONTENT}, images))
    assert data.info.counts == {"train": 2, "validation": 2}
    assert data.info.classes == ("cat", "ape", "newt")  # in the order of the ids 2, 13, 90
    found = data.arrays("train")
    np.testing.assert_array_equal(found["boxes"][0], [[4, 6, 14, 26], [0, 0, 5, 5]])
    np.testing.assert_array_equal(found["labels"], [[2, 0], [-1, -1]])
    np.testing.assert_array_equal(found["crowd"], [[False, True], [False, False]])
    assert [path.name for path in data.paths("train")] == ["a.png", "b.png"]
    assert "instances_train2017.json" in data.info.notes[0]
    assert "1 classes have no object: ape." in data.info.notes


def test_one_level_down_and_from_a_file(make_coco):
    folder = make_coco({"train": CONTENT, "val": CONTENT})
    assert load(folder.parent).info.counts == {"train": 2, "validation": 2}
    file = folder / "annotations" / "instances_train.json"
    one = load(folder / "train", annotations=file)
    assert sum(one.info.counts.values()) == 2


def test_masks_follow_the_boxes(make_coco):
    folder = make_coco({"train": with_masks(CONTENT), "val": with_masks(CONTENT)})
    for size, resize in ((None, None), ((60, 80), "stretch"), ((50, 50), "pad"), (24, "stretch")):
        data = load(folder, extras=["instance_masks"], image_size=size, resize=resize)
        found = data.arrays("train")
        assert found["instance_masks"].dtype == bool
        for mask, box in zip(found["instance_masks"][0], found["boxes"][0], strict=True):
            np.testing.assert_allclose(tight_box(mask), box, atol=1)
        assert not found["instance_masks"][1].any()


def test_compressed_run_lengths_equal_plain_ones():
    from pycocotools import mask

    pixels = np.zeros((30, 40), bool)
    pixels[3:20, 8:30] = True
    pixels[5:9, 10:12] = False
    code = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    runs = np.flatnonzero(np.diff(np.r_[0, pixels.ravel(order="F"), 1 - pixels[-1, -1]]))
    counts = np.diff(np.r_[0, runs]).tolist()
    fit = plan_fit((30, 40), (30, 40))
    compressed = {"size": [30, 40], "counts": code["counts"].decode()}
    np.testing.assert_array_equal(RunLengths(compressed).mask(fit), pixels)
    np.testing.assert_array_equal(
        RunLengths({"size": [30, 40], "counts": counts}).mask(fit), pixels
    )


def test_polygons_of_several_parts():
    fit = plan_fit((30, 40), (60, 40), "stretch")
    parts = [np.array([[2, 2], [6, 2], [6, 6], [2, 6]]), np.array([[20, 10], [30, 10], [30, 20]])]
    found = Polygons(parts).mask(fit)
    assert found[4:12, 2:6].all()
    assert found[22:24, 28:30].all()
    np.testing.assert_allclose(found.sum(), 4 * 8 + 10 * 20 / 2, rtol=0.15)


def test_keypoints(make_coco):
    content = copy.deepcopy(CONTENT)
    content["categories"][0]["keypoints"] = ["head", "tail"]
    content["annotations"][0]["keypoints"] = [5, 6, 2, 8, 9, 1]
    folder = make_coco({"train": content, "val": content})
    data = load(folder, extras=["keypoints"], image_size=(60, 40))
    assert data.info.keypoints == ("head", "tail")
    expected = [[[5, 12, 1], [8, 18, 1]], [[0, 0, 0]] * 2]
    np.testing.assert_array_equal(data.arrays("train")["keypoints"][0], expected)
    content["annotations"][0]["keypoints"] = [5, 6, 0, 8, 9]
    (folder / "annotations" / "instances_val.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"val\.json: annotations\[0\]: keypoints .* not 6 num"):
        load(folder, extras=["keypoints"])


def changed(place: str, index: int, **fields) -> dict:
    content = copy.deepcopy(CONTENT)
    record = content[place][index]
    record.update(fields)
    for name, value in fields.items():
        if value is ...:
            del record[name]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{'images'", r"train\.json: no JSON: .*line 1"),
        ("[]", "no COCO file"),
        ({"images": [], "annotations": []}, "no list 'categories'"),
        ({**CONTENT, "images": {}}, "no list 'images'"),
        ({**CONTENT, "categories": []}, "categories is empty"),
        ({**CONTENT, "annotations": [3]}, r"annotations\[0\] is no object"),
        (changed("images", 1, file_name=...), r"images\[1\]: file_name is missing"),
        (changed("images", 1, id=7), r"images\[1\]: the id 7 is there twice"),
        (changed("images", 1, width="40"), r"images\[1\]: width is '40'"),
        (changed("images", 0, file_name="../a.png"), r"images\[0\]: file_name .* leads out of"),
        (changed("images", 0, file_name="/a.png"), r"images\[0\]: file_name .* leads out of"),
        (changed("images", 0, height=31), r"annotations\[0\]: .* for 40 x 31 pixels"),
        (changed("annotations", 1, image_id=4), r"annotations\[1\]: image_id 4 is that of no"),
        (changed("annotations", 1, category_id=4), r"annotations\[1\]: category_id 4 is that of"),
        (changed("annotations", 1, bbox=...), r"annotations\[1\]: bbox is missing"),
        (changed("annotations", 1, bbox=[1, 2, 3]), r"annotations\[1\]: bbox .* not 4 numbers"),
        (changed("annotations", 1, bbox=[1, 2, 3, "x"]), r"annotations\[1\]: bbox .* not 4"),
        (changed("annotations", 1, bbox=[1, 2, 3, float("nan")]), r"annotations\[1\]: bbox .* not"),
        (changed("categories", 1, id=90), r"categories\[1\]: the id 90 is there twice"),
        (changed("categories", 1, name=...), r"categories\[1\]: name is missing"),
    ],
)
def test_malformed_files_are_named(make_coco, content, message):
    folder = make_coco({"train": content, "val": CONTENT})
    with pytest.raises(ValueError, match=message) as caught:
        load(folder)
    assert "instances_train.json" in str(caught.value)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "segmentation is None, neither"),
        ([], r"segmentation is \[\], neither"),
        ([[1, 2, 3, 4]], "no list of polygons"),
        ([[1, 2, 3, 4, 5, 6, 7]], "no list of polygons"),
        ([[1, 2, 3, 4, 5, "x"]], "no list of polygons"),
        ({"size": [30, 40]}, "segmentation: counts is missing"),
        ({"size": [30], "counts": [1200]}, r"size is \[30\], not 2 numbers"),
        ({"size": [30, 40], "counts": [1100]}, "counts do not add up"),
        ({"size": [30, 40], "counts": [1300, -100]}, "counts do not add up"),
        ({"size": [40, 30], "counts": [1200]}, r"has the size \[40, 30\], the image \[30, 40\]"),
    ],
)
def test_malformed_outlines_are_named(make_coco, segmentation, message):
    content = with_masks(CONTENT)
    content["annotations"][1]["segmentation"] = segmentation
    folder = make_coco({"train": content, "val": CONTENT})
    with pytest.raises(ValueError, match=message) as caught:
        load(folder, extras=["instance_masks"])
    assert "annotations[1]" in str(caught.value)
    load(folder)  # Who does not ask for outlines does not mind.


def test_boxes_are_mended_and_counted(make_coco):
    content = changed("annotations", 0, bbox=[30, 20, 20, 20])
    content["annotations"][1]["bbox"] = [3, 3, 0, 4]
    data = load(make_coco({"train": content, "val": content}))
    np.testing.assert_array_equal(data.arrays("train")["boxes"][0], [[30, 20, 40, 30]])
    notes = " ".join(data.info.notes)
    assert "2 boxes that exceed" in notes and "2 empty or inverted" in notes


def test_missing_image_is_left_out_and_named(make_coco):
    folder = make_coco({"train": CONTENT, "val": CONTENT})
    (folder / "train" / "b.png").unlink()
    data = load(folder)
    assert data.info.counts == {"train": 1, "validation": 2}
    assert data.info.skipped == ((str(folder / "train" / "b.png"), "No such file or directory"),)


def test_splits_must_agree(make_coco, tmp_path):
    folder = make_coco({"train": CONTENT, "val": changed("categories", 1, name="dog")})
    with pytest.raises(ValueError, match=r"instances_val\.json has other categories than"):
        load(folder)
    (folder / "annotations" / "instances_train2017.json").write_text("{}")
    (folder / "train2017").mkdir()
    with pytest.raises(ValueError, match="are both for train"):
        load(folder)


def test_folders_must_fit(make_coco):
    folder = make_coco({"val": CONTENT})
    with pytest.raises(ValueError, match="nothing to train on"):
        load(folder)
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(CONTENT))
    with pytest.raises(FileNotFoundError, match=r"instances_train\.json has no images"):
        load(folder)


def test_coco100(coco100):
    data = load(coco100, image_size=(96, 128), extras=["instance_masks"])
    assert data.info.counts == {"train": 100, "validation": 100}
    assert len(data.info.classes) == 80
    assert data.info.classes[:2] == ("person", "bicycle") and data.info.classes[-1] == "toothbrush"
    found = data.arrays("train", limit=30)
    real = found["labels"] >= 0
    gaps = [
        np.abs(np.array(tight_box(mask)) - box).max()
        for mask, box in zip(found["instance_masks"][real], found["boxes"][real], strict=True)
        if mask.any()
    ]
    # Outlines are drawn by hand and boxes are not always of the same outline.
    assert len(gaps) > 100 and np.quantile(gaps, 0.9) < 2
