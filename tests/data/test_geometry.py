"""Movements: what is seen in the picture afterwards is what the annotations say."""

import math

import numpy as np
import pytest
import tensorflow as tf

from vislearn.data import geometry
from vislearn.data.augmentation import (
    ANNOTATED,
    Augmentation,
    Brightness,
    ColourShift,
    Contrast,
    Flip,
    Hue,
    Lens,
    ResizedCrop,
    Rotate,
    Saturation,
    Shear,
    Shift,
    Stretch,
    Zoom,
    get_augmentation,
)

pytestmark = pytest.mark.tensorflow

HEIGHT, WIDTH, COUNT = 60, 80, 64
GREEN, RED = (0, 255, 0), (255, 0, 0)


def scene(count=COUNT, *, ellipse=False, seed=0):
    """A green and a red object on black, which don't touch, and a padding row.

    Rectangles, or ellipses, which are something else than their boxes.
    """
    rng = np.random.default_rng(seed)
    images = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    masks = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    instances = np.zeros((count, 3, HEIGHT, WIDTH), bool)
    boxes = np.zeros((count, 3, 4), np.float32)
    points = np.zeros((count, 3, 2, 3), np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for image in range(count):
        for number, colour in enumerate((GREEN, RED)):
            width, height = rng.integers(12, 24, 2)
            x1 = rng.integers(1, 39 - width) + 40 * number
            y1 = rng.integers(1, HEIGHT - 1 - height)
            inside = (x > x1) & (x < x1 + width) & (y > y1) & (y < y1 + height)
            if ellipse:
                u, v = (x - x1 - width / 2) / width, (y - y1 - height / 2) / height
                inside = u**2 + v**2 <= 0.25
            images[image, inside] = colour
            masks[image, inside] = number + 1
            instances[image, number] = inside
            boxes[image, number] = (x1, y1, x1 + width, y1 + height)
            # The centre, and a point that is marked as not to be seen.
            points[image, number] = [(x1 + width / 2, y1 + height / 2, 1), (x1, y1, 0)]
    return {
        "images": images,
        "masks": masks,
        "boxes": boxes,
        "labels": np.tile(np.array([5, 7, -1], np.int32), (count, 1)),
        "crowd": np.tile(np.array([False, True, False]), (count, 1)),
        "instance_masks": instances,
        "keypoints": points,
    }


def without(example, *names):
    return {name: value for name, value in example.items() if name not in names}


def run(augmentation, example, seed=(3, 4)):
    tensors = {name: tf.constant(value) for name, value in example.items()}
    found = augmentation({**tensors, "seed": tf.constant(seed, tf.int64)})
    assert {*found} == {*example, "seed"}
    for name, value in example.items():
        assert found[name].dtype == tensors[name].dtype
        assert found[name].shape == value.shape
    return {name: value.numpy() for name, value in found.items() if name != "seed"}


def seen(image, number):
    """Which pixels are of object `number`, by their colour: more than half covered."""
    image = image.astype(int)
    return image[..., 1 - number] - image[..., number] > 127


def box_of(mask):
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


ZOOM = Zoom((0.6, 1.6), anywhere=True)
MOVEMENTS = {
    "mirror": (Flip(),),
    "mirror_vertically": (Flip("vertical"),),
    "scale": (ZOOM,),
    "scale_per_axis": (Zoom((0.7, 1.4), per_axis=True),),
    "translate": (Shift(0.3, 0.3),),
    "stretch": (Stretch((0.5, 2.0)),),
    "part": (ResizedCrop((0.5, 1.0)),),
    "all_upright": (Flip(), Flip("vertical"), ZOOM, Shift(0.1, 0.1)),
    "rotate": (Rotate(math.pi),),
    "shear": (Shear(0.4, 0.3),),
    "lens": (Lens(0.2),),
    "all": (Flip(), Rotate(0.6), ZOOM, Shift(0.2, 0.2)),
}
UPRIGHT = [
    name
    for name, value in MOVEMENTS.items()
    if not any(isinstance(item, Rotate | Shear | Lens) for item in value)
]


@pytest.mark.parametrize("ellipse", [False, True])
@pytest.mark.parametrize("movement", MOVEMENTS)
def test_annotations_move_with_the_pixels(movement, ellipse):
    before = scene(ellipse=ellipse)
    after = run(Augmentation(MOVEMENTS[movement]), before)
    assert np.any(after["images"] != before["images"])
    compared = points = 0
    for image in range(COUNT):
        for number in (0, 1):
            pixels = seen(after["images"][image], number)
            label = after["labels"][image, number]
            if label == -1:  # Less than a quarter of it is left, enlarged at most 1.6 times.
                whole = seen(before["images"][image], number).sum()
                assert pixels.sum() <= (geometry.KEEP + 0.05) * whole * 1.6**2
                continue
            compared += 1
            assert label == before["labels"][image, number]
            assert after["crowd"][image, number] == before["crowd"][image, number]
            assert np.abs(box_of(pixels) - after["boxes"][image, number]).max() <= 1
            for mask in (
                after["instance_masks"][image, number],
                after["masks"][image] == number + 1,
            ):
                # Nothing but pixels of the outline, which are covered in part, may differ.
                differing = np.count_nonzero(mask != pixels)
                assert differing <= 0.7 * sum(np.ptp(np.nonzero(pixels), axis=1)) + 2
            x, y, visible = after["keypoints"][image, number, 0]
            inside = 0 <= x < WIDTH and 0 <= y < HEIGHT
            assert visible == inside
            if inside:
                points += 1
                assert pixels[int(y), int(x)]
            assert after["keypoints"][image, number, 1, 2] == 0  # what was hidden stays hidden
    assert compared > COUNT
    assert points > COUNT / 2
    for name, padding in (("boxes", 0), ("labels", -1), ("keypoints", 0), ("instance_masks", 0)):
        assert np.all(after[name][:, 2] == padding), f"{name} of the padding row"
    assert not after["crowd"][:, 2].any()


@pytest.mark.parametrize("movement", UPRIGHT)
def test_boxes_alone_are_exact_without_rotation(movement):
    before = scene()
    after = run(Augmentation(MOVEMENTS[movement]), without(before, "instance_masks", "masks"))
    found = 0
    for image in range(COUNT):
        for number in (0, 1):
            if after["labels"][image, number] >= 0:
                box = box_of(seen(after["images"][image], number))
                assert np.abs(box - after["boxes"][image, number]).max() <= 1
                found += 1
    assert found > COUNT


def test_turned_boxes_alone_hold_the_object():
    before = without(scene(), "instance_masks")
    after = run(Augmentation(MOVEMENTS["rotate"]), before)
    larger = []
    for image in range(COUNT):
        for number in (0, 1):
            if after["labels"][image, number] >= 0:
                box, around = box_of(seen(after["images"][image], number)), after["boxes"]
                around = around[image, number]
                assert np.all(around[:2] <= box[:2] + 1)
                assert np.all(around[2:] >= box[2:] - 1)
                larger.append(np.abs(around - box).max())
    # Rectangles are as large as their boxes, so that the corners are tight for them.
    assert np.median(larger) <= 1


def test_movements_are_told_from_the_centre():
    def at(place, linear=((1, 0), (0, 1)), shift=(0, 0)):
        matrix = geometry.about_centre(
            tf.constant([linear], tf.float32), tf.constant([shift], tf.float32), 40, 100
        )
        point = geometry.move_points(tf.constant([[place]], tf.float32), matrix)
        again = geometry.move_points(point, geometry.invert(matrix)).numpy()[0, 0]
        np.testing.assert_allclose(again, place, atol=1e-4)
        return point.numpy()[0, 0].round(3).tolist()

    clockwise = ((0, -1), (1, 0))  # for y points down
    assert at((10, 5)) == [10, 5]
    assert at((10, 5), ((-1, 0), (0, 1))) == [90, 5]
    assert at((60, 20), ((2, 0), (0, 2))) == [70, 20]
    assert at((60, 25), clockwise) == [45, 30]
    assert at((60, 20), shift=(3, -4)) == [63, 16]
    assert at((60, 25), clockwise, (1, 2)) == [46, 32]


def test_nothing_moves_by_the_identity():
    before = scene(4, ellipse=True)
    tensors = {name: tf.constant(value) for name, value in before.items()}
    matrix = tf.eye(2, 3, batch_shape=(4,))
    for identity in (geometry.Affine(matrix), geometry.Radial(tf.zeros(4))):
        after = geometry.move(tensors, identity)
        for name in without(before, "boxes", "keypoints"):
            np.testing.assert_array_equal(after[name], before[name])
        np.testing.assert_allclose(after["keypoints"], before["keypoints"], atol=1e-4)
        np.testing.assert_allclose(after["boxes"], before["boxes"], atol=1)  # those of the masks
        after = geometry.move(without(tensors, "instance_masks"), identity)
        np.testing.assert_allclose(after["boxes"], before["boxes"], atol=1e-4)


@pytest.mark.parametrize("strength", [-0.3, -0.1, 0.2, 0.3])
def test_a_lens_takes_points_where_it_shows_their_pixels(strength):
    lens = geometry.Radial(tf.constant([strength]))
    seen_at = np.random.default_rng(0).uniform((0, 0), (WIDTH, HEIGHT), (1, 50, 2))
    centre = np.array([WIDTH, HEIGHT]) / 2
    radius = np.linalg.norm(seen_at - centre, axis=-1, keepdims=True) / np.linalg.norm(centre)
    source = centre + (seen_at - centre) * (1 + strength * radius**2)
    found = lens.points(tf.constant(source, tf.float32), float(HEIGHT), float(WIDTH))
    np.testing.assert_allclose(found, seen_at, atol=1e-2)


@pytest.mark.parametrize("fill", ["constant", "nearest", "reflect", "wrap"])
def test_fills_are_those_of_scipy(fill):
    from scipy import ndimage

    mode = {"wrap": "grid-wrap"}.get(fill, fill)
    image = np.random.default_rng(0).uniform(0, 255, (1, 6, 8, 1)).astype("float32")
    matrix = tf.constant([[[1.0, 0, 3.0], [0, 1, -2.0]]])
    expected = ndimage.shift(image[0, ..., 0], (-2, 3), order=1, mode=mode, cval=7.0)
    found = geometry.move_images(tf.constant(image), geometry.Affine(matrix), fill, 7.0)
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=1e-3)
    # The lens looks pixels up by itself, and must agree.
    affine = geometry.Affine(matrix)
    y, x = np.mgrid[:6, :8] + 0.5
    places = geometry.move_points(
        tf.constant(np.stack([x, y], -1)[None], tf.float32), geometry.invert(matrix)
    )
    for interpolation in ("BILINEAR", "NEAREST"):
        found = geometry._looked_up(tf.constant(image), places, interpolation, fill, 7.0)
        expected = affine.resample(tf.constant(image), interpolation, fill, 7.0)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_flip_is_exact_and_resamples_nothing():
    before = scene()
    after = run(ANNOTATED["flip"], before)
    mirrored = np.array(
        [
            np.array_equal(a, b[:, ::-1])
            for a, b in zip(after["images"], before["images"], strict=True)
        ]
    )
    assert 0.2 < mirrored.mean() < 0.8
    for name, axis in (("images", 2), ("masks", 2), ("instance_masks", 3)):
        turned = np.flip(before[name], axis)
        shape = (-1,) + (1,) * (turned.ndim - 1)
        expected = np.where(mirrored.reshape(shape), turned, before[name])
        np.testing.assert_array_equal(after[name], expected)
    boxes = before["boxes"][:, :2].copy()
    boxes[mirrored] = (np.array([WIDTH, 0, WIDTH, 0]) + [-1, 1, -1, 1] * boxes[mirrored])[
        ..., [2, 1, 0, 3]
    ]
    np.testing.assert_array_equal(after["boxes"][:, :2], boxes)
    assert not after["boxes"][:, 2].any()
    centres = before["keypoints"][:, :2, 0, 0]
    expected = np.where(mirrored[:, None], WIDTH - centres, centres)
    np.testing.assert_array_equal(after["keypoints"][:, :2, 0, 0], expected)
    assert not after["keypoints"][:, 2].any()
    np.testing.assert_array_equal(after["labels"], before["labels"])


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    ("shift", "kept"),
    [(0.0, True), (-14.0, True), (-16.0, False), (-40.0, False)],
)
def test_objects_of_which_little_remains_are_dropped(shift, kept, masks):
    """A box 20 wide at the left edge: 6 of 20 are more than a quarter, 4 of 20 are less."""
    boxes = np.array([[[0, 10, 20, 30]]], np.float32)
    inside = np.zeros((1, 1, HEIGHT, WIDTH), bool)
    inside[:, :, 10:30, :20] = True
    example = {
        "images": np.zeros((1, HEIGHT, WIDTH, 3), np.uint8),
        "boxes": boxes,
        "labels": np.array([[2]], np.int32),
        "crowd": np.array([[True]]),
        "keypoints": np.array([[[[19.0, 20.0, 1.0]]]], np.float32),
    }
    if masks:
        example["instance_masks"] = inside
    matrix = np.array([[[1, 0, shift], [0, 1, 0]]], np.float32)
    tensors = {name: tf.constant(value) for name, value in example.items()}
    after = geometry.move(tensors, geometry.Affine(tf.constant(matrix)))
    assert after["labels"].numpy().item() == (2 if kept else -1)
    assert after["crowd"].numpy().item() == kept
    expected = [0, 10, 20 + shift, 30] if kept else [0] * 4
    np.testing.assert_allclose(after["boxes"][0, 0], expected)
    expected = [19 + shift, 20, 1] if kept else [0] * 3
    np.testing.assert_allclose(after["keypoints"][0, 0, 0], expected)
    if masks:
        assert np.any(after["instance_masks"]) == kept


def test_what_comes_from_outside():
    example = {
        "images": tf.fill((1, 8, 8, 3), tf.constant(200, tf.uint8)),
        "masks": tf.ones((1, 8, 8), tf.uint8),
    }
    matrix = tf.constant([[[1.0, 0, 3.0], [0, 1, 0]]])
    after = geometry.move(example, geometry.Affine(matrix))
    assert np.all(after["images"][0, :, :3] == 114)
    assert np.all(after["images"][0, :, 3:] == 200)
    assert np.all(after["masks"][0, :, :3] == 255)
    assert np.all(after["masks"][0, :, 3:] == 1)


def test_pixels_are_rounded_and_not_cut_off():
    ramp = np.tile(np.arange(0, 160, 2, dtype=np.uint8), (1, 4, 1))[..., None]
    matrix = np.array([[[1, 0, -0.4], [0, 1, 0]]], np.float32)
    moved = geometry.move_images(tf.constant(ramp), geometry.Affine(tf.constant(matrix))).numpy()
    np.testing.assert_array_equal(moved[:, :, :-1], ramp[:, :, :-1] + 1)  # 0.8 more each


def test_floats_keep_their_type_and_fractions():
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    found = run(ANNOTATED["strong"], {"images": images})["images"]
    assert found.dtype == np.float32
    assert np.any(found % 1 != 0)


@pytest.mark.parametrize("name", ["flip", "standard", "strong"])
def test_the_seed_decides_all(name):
    augmentation, before = ANNOTATED[name], scene(16)
    first, again, other = (run(augmentation, before, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    compiled = run(tf.function(augmentation), before, (1, 2))
    for key in before:
        np.testing.assert_array_equal(first[key], again[key])
    for key in ("images", "masks", "labels"):
        # The compiler may round a place otherwise; a pixel on an edge then goes either way.
        assert np.mean(first[key] != compiled[key]) < 1e-3
    assert np.any(first["images"] != other["images"])
    places = [tuple(box) for box in first["boxes"][:, 0] - before["boxes"][:, 0]]
    assert len(set(places)) > (1 if name == "flip" else 10), "each image has its own movement"


def test_works_in_a_pipeline_of_unknown_batch_size():
    before = without(scene(5), "crowd")
    data = tf.data.Dataset.from_tensor_slices(before).batch(2)
    data = data.map(lambda example: {**example, "seed": tf.constant([1, 2], tf.int64)})
    for example in data.map(ANNOTATED["strong"]):
        assert example["images"].shape[1:] == (HEIGHT, WIDTH, 3)
        assert example["boxes"].shape[1:] == (3, 4)


# Colours.


def colours(augmentation, images, seed=(1, 2)):
    return run(augmentation, {"images": images}, seed)["images"]


def flat(colour, count=200):
    return np.tile(np.array(colour, np.uint8), (count, 2, 2, 1))


def test_brightness_and_contrast_are_as_strong_as_they_say():
    found = colours(Augmentation((Brightness(0.1),)), flat([128] * 3)).astype(int)
    assert np.all(found == found[:, :1, :1, :1])  # all pixels and channels alike
    assert found.min() >= 102 and found.max() <= 154 and np.ptp(found) > 40
    found = colours(Augmentation((Contrast(0.5), ColourShift(0, 0.22))), flat([100] * 3)).astype(
        float
    )
    assert found.min() >= 127.5 - 27.5 * 1.5**1.5 - 1
    assert found.max() <= 127.5 - 27.5 / 1.5**1.5 + 1
    assert np.ptp(found[:, 0, 0].mean(-1)) > 10
    assert np.any(np.ptp(found[:, 0, 0], axis=-1) > 3)  # and each channel for itself


def test_saturation_and_hue_leave_greys_alone():
    augmentation = Augmentation((Saturation(0.8), Hue(math.pi)))
    np.testing.assert_array_equal(colours(augmentation, flat([77] * 3)), flat([77] * 3))
    found = colours(augmentation, flat([140, 100, 90])).astype(float)[:, 0, 0]
    assert len(np.unique(found, axis=0)) > 150
    # Neither changes how bright the mean of the channels is.
    np.testing.assert_allclose(found.mean(-1), 110, atol=0.7)
    vivid = np.linalg.norm(found - 110, axis=-1) / np.linalg.norm([30, 10, 20])
    assert 1 / 1.8 - 0.05 < vivid.min() < 0.7 and 1.5 < vivid.max() < 1.85
    only = colours(Augmentation((Hue(math.pi),)), flat([140, 100, 90])).astype(float)[:, 0, 0]
    vivid = np.linalg.norm(only - 110, axis=-1) / np.linalg.norm([30, 10, 20])
    np.testing.assert_allclose(vivid, 1, atol=0.05)
    warmest = only.argmax(-1)
    assert {0, 1, 2} == set(warmest)


def test_colours_work_on_grey_images_and_stay_in_range():
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 1), np.uint8)
    found = colours(ANNOTATED["strong"], images)
    assert np.any(found != images)
    extreme = np.random.default_rng(0).choice([0.0, 255.0], (8, 6, 6, 3)).astype("float32")
    found = colours(Augmentation((Contrast(1.0), Brightness(0.5))), extreme)
    assert found.min() == 0
    assert found.max() == 255


def test_names_by_task():
    for task in ("detection", "semantic_segmentation"):
        assert get_augmentation("standard", flips=True, task=task) == ANNOTATED["standard"]
        unmirrored = get_augmentation("strong", flips=False, task=task)
        assert unmirrored.operations == ANNOTATED["strong"].operations[1:]
        assert get_augmentation("flip", flips=False, task=task) is None
        assert get_augmentation("none", flips=True, task=task) is None
        with pytest.raises(ValueError, match="augment='crop' must be one of"):
            get_augmentation("crop", flips=True, task=task)
    assert get_augmentation("standard", flips=True, task="generation") == ANNOTATED["flip"]
    with pytest.raises(ValueError, match="task='depth' must be one of"):
        get_augmentation("flip", flips=True, task="depth")
