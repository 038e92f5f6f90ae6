"""Boxes, masks and key points: checked, moved with their picture, packed, batched."""

import dataclasses

import numpy as np
import pytest

from vislearn.data import load_dataset
from vislearn.data.annotations import (
    InstanceMasks,
    MaskArray,
    Numbered,
    Objects,
    Repairs,
    SemanticMasks,
    move,
    pack,
    settle,
)
from vislearn.data.images import fit_image, plan_fit
from vislearn.data.shapes import CONFIGS, tight_box

SIZES = [(40, 60), (24, 90), (80, 32), (48, 48)]


def one(box, **options) -> Objects:
    """A picture with one object."""
    return Objects(
        np.array([box], np.float64),
        np.array([1]),
        np.array([False]),
        ["file object 1"],
        **options,
    )


def drawn(size, box):
    """A black picture with a white rectangle."""
    image = np.zeros((*size, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("size", [(32, 32), (64, 48), (100, 100)])
@pytest.mark.parametrize("own", SIZES)
def test_everything_moves_with_the_picture(mode, size, own):
    """A white rectangle is drawn, the picture resized, and the rectangle found again."""
    height, width = own
    box = width // 3, height // 3, 2 * width // 3, 2 * height // 3
    image = drawn(own, box)
    fit = plan_fit(own, size, mode)
    resized = fit_image(image, size, mode)
    white = (resized[..., 0] > 127) & (resized[..., 0] != 114)
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    keypoints = np.array([[[*middle, 1], [0, 0, 1]]], np.float64)
    region = Numbered(image[..., 0], 255)
    objects, lost = move(one(box, keypoints=keypoints, regions=[region]), fit)
    assert lost == 0
    np.testing.assert_allclose(objects.boxes[0], tight_box(white), atol=1)
    np.testing.assert_array_equal(objects.regions[0].mask(fit).shape, size)
    # Nearest and bilinear agree up to the pixels on the edge.
    differ = objects.regions[0].mask(fit) ^ white
    assert differ.sum() <= 2 * sum(np.array(tight_box(white))[2:] - tight_box(white)[:2])
    (x, y, visible), (u, v, corner_visible) = objects.keypoints[0]
    assert visible == 1
    np.testing.assert_allclose((x, y), objects.boxes[0].reshape(2, 2).mean(0), atol=1)
    assert white[int(y), int(x)]
    assert corner_visible == (0 <= u <= size[1] and 0 <= v <= size[0])
    if mode != "crop":
        assert (u, v, corner_visible) == (0, 0, 1)


def test_pad_keeps_proportions_and_fills_with_grey():
    image = np.full((20, 40, 3), 200, np.uint8)
    padded = fit_image(image, (60, 60), "pad")
    assert (padded[:30] == 200).all()
    assert (padded[30:] == 114).all()
    tall = fit_image(image.swapaxes(0, 1), (60, 60), "pad")
    assert (tall[:, :30] == 200).all()
    assert (tall[:, 30:] == 114).all()
    assert plan_fit((1, 1000), (10, 10), "pad").inner == (1, 10)


def test_semantic_masks_take_the_nearest_and_ignore_what_is_padded():
    values = np.arange(8, dtype=np.uint8).reshape(2, 4)
    fits = [plan_fit((2, 4), (4, 4), mode) for mode in ("stretch", "pad", "crop")]
    masks = SemanticMasks([MaskArray(values)] * 3, fits, (4, 4))
    stretched, padded, cropped = masks.gather(np.arange(3))
    np.testing.assert_array_equal(stretched, np.repeat(values, 2, axis=0))
    np.testing.assert_array_equal(padded[:2], values)
    assert (padded[2:] == 255).all()
    np.testing.assert_array_equal(cropped, np.repeat(np.repeat(values[:, 1:3], 2, 0), 2, 1))


def test_crop_drops_what_is_mostly_cut_off():
    fit = plan_fit((20, 40), (20, 20), "crop")  # keeps x from 10 to 30
    for box, left in (
        ((2, 0, 12, 10), 0),  # 2 of 10 columns
        ((0, 0, 14, 10), 1),  # 4 of 14
        ((31, 0, 40, 10), 0),
        ((10, 0, 30, 20), 1),
    ):
        objects, lost = move(one(box), fit)
        assert (len(objects), lost) == (left, 1 - left), box
    objects, _ = move(one((0, 0, 14, 10)), fit)
    np.testing.assert_array_equal(objects.boxes, [[0, 0, 4, 10]])


@pytest.mark.parametrize(
    ("box", "expected", "note"),
    [
        ((1, 2, 5, 6), (1, 2, 5, 6), None),
        ((-3, 2, 5, 60), (0, 2, 5, 20), "exceed their images are clipped"),
        ((0, 0, 30.005, 20), (0, 0, 30, 20), None),  # rounding
        ((5, 5, 5, 9), None, "empty or inverted boxes are dropped"),
        ((5, 9, 8, 6), None, "empty or inverted boxes are dropped"),
        ((40, 2, 45, 6), None, "outside of their images are dropped"),
    ],
)
def test_boxes_are_mended_by_rule_and_told(box, expected, note):
    repairs = Repairs(strict=False)
    objects = settle(one(box), (20, 30), repairs)
    assert len(objects) == (expected is not None)
    if expected:
        np.testing.assert_array_equal(objects.boxes, [expected])
    notes = repairs.notes()
    assert len(notes) == (note is not None)
    if note:
        assert notes[0].startswith("1 ") and note in notes[0] and "file object 1" in notes[0]
        with pytest.raises(ValueError, match="file object 1: the box"):
            settle(one(box), (20, 30), Repairs(strict=True))


def test_repairs_are_counted():
    repairs = Repairs(strict=False)
    for _ in range(1200):
        settle(one((0, 0, 50, 9)), (20, 30), repairs)
    assert repairs.notes()[0].startswith("1,200 boxes that exceed")


def test_other_size_and_no_number_are_errors():
    with pytest.raises(ValueError, match=r"file object 1: .* for 40 x 30 pixels, .* 30 x 20"):
        settle(one((0, 0, 5, 5), size=(30, 40)), (20, 30), Repairs(strict=False))
    with pytest.raises(ValueError, match=r"file object 1: the box \(0, nan, 5, 5\) is not finite"):
        settle(one((0, np.nan, 5, 5)), (20, 30), Repairs(strict=False))


def test_pack_pads():
    empty = one((0, 0, 1, 1)).select(np.array([False]))
    two = Objects(
        np.array([[0, 1, 2, 3], [4, 5, 6, 7]]), np.array([0, 2]), np.array([False, True]), "ab"
    )
    found = pack([empty, two, one((1, 1, 3, 3))])
    np.testing.assert_array_equal(found["labels"], [[-1, -1], [0, 2], [1, -1]])
    np.testing.assert_array_equal(found["crowd"], [[False, False], [False, True], [False, False]])
    np.testing.assert_array_equal(found["boxes"][1], two.boxes)
    assert not found["boxes"][0].any()
    assert {name: array.dtype.name for name, array in found.items()} == {
        "labels": "int32",
        "crowd": "bool",
        "boxes": "float32",
    }
    assert pack([empty])["boxes"].shape == (1, 1, 4)


def test_instance_masks_are_padded():
    numbers = np.array([[1, 1, 0], [2, 0, 0]])
    fit = plan_fit((2, 3), (2, 3))
    masks = InstanceMasks([[], [Numbered(numbers, 1), Numbered(numbers, 2)]], [fit] * 2, (3, 2, 3))
    none, both = masks.gather(np.array([0, 1]))
    assert not none.any()
    np.testing.assert_array_equal(both[:2], [numbers == 1, numbers == 2])
    assert not both[2].any()


# Through the data set.

needs_tensorflow = pytest.mark.tensorflow


@pytest.fixture
def few(monkeypatch):
    """The shapes with a handful of pictures."""
    counts = (("train", 24), ("validation", 4), ("test", 5))
    for name, config in CONFIGS.items():
        monkeypatch.setitem(CONFIGS, name, dataclasses.replace(config, counts=counts))


@needs_tensorflow
@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("task", ["detection", "semantic_segmentation"])
def test_batches_equal_arrays(few, task, cache):
    extras = ("instance_masks", "keypoints") if task == "detection" else ()
    data = load_dataset(
        "shapes", task=task, image_size=40, batch_size=2, cache=cache, extras=extras
    )
    data.target = lambda example: (example["images"], {k: example[k] for k in example})
    found = [y for _, y in data.test]
    for name, values in data.arrays("test").items():
        joined = np.concatenate([batch[name].numpy() for batch in found])
        np.testing.assert_array_equal(joined, values)
        parts = [part[name] for part in data.batches("test", 2)]
        np.testing.assert_array_equal(np.concatenate(parts), values)


@needs_tensorflow
@pytest.mark.parametrize(
    ("task", "cache"),
    [("detection", "memory"), ("detection", "none"), ("semantic_segmentation", "none")],
)
def test_resumed_sees_what_unbroken_sees(few, task, cache):
    def run(start, count):
        data = load_dataset(
            "shapes", task=task, batch_size=8, augment="standard", cache=cache, image_size=48
        )
        data.target = lambda example: (example["images"], example)
        return [batch for _, batch in data.training_batches(start).take(count)]

    unbroken, resumed = run(0, 6)[3:], run(1, 3)
    for one, two in zip(unbroken, resumed, strict=True):
        assert one.keys() == two.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


@needs_tensorflow
def test_generation_takes_any_folder(make_folder, tmp_path):
    flat = load_dataset(make_folder({"deep/er": 20}, "flat"), task="generation", batch_size=4)
    assert flat.info.classes == ()
    assert flat.info.counts == {"train": 14, "validation": 2, "test": 4}
    assert flat.info.flips
    assert flat.arrays("train").keys() == {"images"}
    x, y = next(iter(flat.train))
    assert x.shape == (4, 12, 12, 3)
    np.testing.assert_array_equal(x, y)
    assert "classes" not in repr(flat)

    classes = load_dataset(make_folder({"a": 5, "b": 5}, "classes"), task="generation")
    np.testing.assert_array_equal(np.bincount(classes.arrays("all")["labels"]), [5, 5])

    split = make_folder({"train": 6, "test": 3}, "split")
    (split / "train" / "notes.txt").write_text("no image")
    data = load_dataset(split, task="generation")
    assert data.info.counts == {"train": 5, "validation": 1, "test": 3}
    assert data.info.skipped == ()

    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="nothing holds no image"):
        load_dataset(tmp_path / "nothing", task="generation")


@needs_tensorflow
def test_wrong_uses(make_folder, tmp_path):
    folder = make_folder({"a": 2, "b": 2})
    with pytest.raises(ValueError, match="has no boxes that could be read"):
        load_dataset(folder, task="detection")
    with pytest.raises(ValueError, match="has no masks that could be found"):
        load_dataset(folder, task="semantic_segmentation")
    with pytest.raises(ValueError, match="extras='captions' must be one of"):
        load_dataset("shapes", task="detection", extras=["captions"])
    with pytest.raises(ValueError, match="extras='keypoints'"):
        load_dataset("shapes", extras=["keypoints"])
    with pytest.raises(ValueError, match=r"annotations=.* of no use"):
        load_dataset(folder, annotations=tmp_path)
    with pytest.raises(ValueError, match="'digits' is no folder"):
        load_dataset("digits", task="detection")
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_dataset(tmp_path / "gone", task="detection")
