"""The engines besides our own: the same description, annotations that follow the pixels, seeds."""

import dataclasses

import numpy as np
import pytest

from vislearn import backend
from vislearn.data.augmentation import (
    ENGINES,
    OPERATIONS,
    Augmentation,
    Flip,
    Mosaic,
    Shear,
    Zoom,
    get_augmentation,
)
from vislearn.data.engines.support import LACKING

pytestmark = pytest.mark.tensorflow

CASES = [
    (engine, name)
    for engine, lacking in LACKING.items()
    for name in OPERATIONS
    if name not in lacking
]
MOVEMENTS = ("flip", "shift", "shear", "rotate", "zoom", "stretch", "lens", "resized_crop")
SIDE = 48


@pytest.fixture(autouse=True, scope="module")
def as_in_a_training():
    """A run makes TensorFlow deterministic, which refuses some of what it otherwise does."""
    backend.make_deterministic(0)


def always(name):
    """The operation with its default strength, on every image."""
    return OPERATIONS[name](**{"crop": 32, "short_side": (36, 64)} if name == "scale_crop" else {})


def maker(engine, operation, **settings):
    """What augments an example with a seed, in a graph."""
    import tensorflow as tf

    operation = dataclasses.replace(operation, probability=1.0)
    traced = tf.function(Augmentation((operation,), engine=engine, **settings).__call__)

    def make(example, seed=3):
        found = traced({**example, "seed": tf.constant([7, seed], tf.int64)})
        return {name: np.asarray(found[name]) for name in example}

    return make


def augmented(engine, operation, example, **settings):
    return maker(engine, operation, **settings)(example)


def rectangle(batch=4, channels=3):
    """A bright rectangle on black with all that can be annotated."""
    images = np.zeros((batch, SIDE, SIDE, channels), np.uint8)
    images[:, 16:32, 14:36] = 250
    inside = images[..., 0] > 0
    return {
        "images": images,
        "masks": inside.astype(np.uint8),
        "boxes": np.tile(np.float32([[14, 16, 36, 32], [0, 0, 0, 0]]), (batch, 1, 1)),
        "labels": np.tile(np.int32([1, -1]), (batch, 1)),
        "crowd": np.zeros((batch, 2), bool),
        "instance_masks": np.stack([inside, np.zeros_like(inside)], axis=1),
        "keypoints": np.tile(np.float32([[[25, 24, 1]], [[0, 0, 0]]]), (batch, 1, 1, 1)),
    }


def noise(batch=3, channels=3, **more):
    shape = (batch, 20, 24, channels)
    return {"images": np.random.default_rng(0).integers(0, 256, shape, np.uint8), **more}


@pytest.mark.parametrize(("engine", "name"), CASES)
def test_shape_type_and_seed(engine, name):
    example = noise(labels=np.eye(3, dtype=np.float32))
    make = maker(engine, always(name))
    found, again, other = make(example), make(example), make(example, seed=4)
    for key, values in example.items():
        assert found[key].shape == values.shape and found[key].dtype == values.dtype
        np.testing.assert_array_equal(found[key], again[key])
    assert (found["images"] != example["images"]).any()
    if name != "flip":  # With probability 1 nothing of it is drawn.
        assert (found["images"] != other["images"]).any()


@pytest.mark.parametrize("engine", LACKING)
@pytest.mark.parametrize("name", ["shift", "crop", "resized_crop", "colour_shift", "erase"])
def test_each_image_draws_its_own(engine, name):
    images = np.repeat(noise(1)["images"], 4, axis=0)
    found = augmented(engine, always(name), {"images": images})["images"]
    assert len(np.unique(found, axis=0)) > 2  # Whole pixels may be the same twice.


@pytest.mark.parametrize("engine", LACKING)
@pytest.mark.parametrize("name", MOVEMENTS)
def test_annotations_follow_the_pixels(engine, name):
    if name in LACKING[engine]:
        pytest.skip("said by the engine, see test_what_an_engine_lacks")
    example = rectangle()
    found = augmented(engine, always(name), example, fill_value=0.0)
    kept = found["labels"][:, 0] == 1
    assert kept.any() and (found["labels"][:, 1] == -1).all()
    for row in np.flatnonzero(kept):
        seen = found["images"][row, ..., 0] > 125
        for mask in (found["masks"][row] == 1, found["instance_masks"][row, 0]):
            assert (mask & seen).sum() >= 0.85 * (mask | seen).sum()
        rows, columns = np.nonzero(seen)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found["boxes"][row, 0], box, atol=1.6)
        x, y, visible = found["keypoints"][row, 0, 0]
        if visible:  # The middle of the rectangle; the lens bends its edges.
            assert seen[int(y), int(x)]
    gone = found["labels"] == -1
    assert not found["boxes"][gone].any() and not found["instance_masks"][gone].any()
    assert not found["keypoints"][gone].any()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_a_mirrored_left_eye_is_a_right_one(engine, axis):
    import tensorflow as tf

    example = {name: rectangle()[name] for name in ("images", "boxes", "labels")}
    face = np.float32([[25, 20, 1], [20, 18, 0], [30, 17, 1]])  # nose, left eye, right eye
    example["keypoints"] = np.zeros((4, 2, 3, 3), np.float32)
    example["keypoints"][:, 0] = face
    mirror = (SIDE, 0) if axis == "horizontal" else (0, SIDE)
    places = face * (-1 if mirror[0] else 1, -1 if mirror[1] else 1, 1) + (*mirror, 0)
    for pairs, order in ((None, [0, 1, 2]), (((1, 2),), [0, 2, 1])):
        found = augmented(engine, Flip(axis, pairs), example)
        np.testing.assert_allclose(found["keypoints"][:, 0], [places[order]] * 4, atol=1e-4)
        assert not found["keypoints"][:, 1].any()
        # Between other movements it is the same.
        both = Augmentation((Flip(axis, pairs, probability=1.0), Zoom((1, 1))), engine=engine)
        tensors = {name: tf.constant(values) for name, values in example.items()}
        found = both({**tensors, "seed": tf.constant([7, 1])})["keypoints"]
        np.testing.assert_allclose(found[:, 0], [places[order]] * 4, atol=1e-4)
    with pytest.raises(ValueError, match=r"pairs=\(\(1, 3\),\) must be .* 0 to 2"):
        augmented(engine, Flip(axis, ((1, 3),)), example)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_data_set_names_what_a_mirror_exchanges(engine):
    names = ("nose", "left_eye", "right_eye")
    found = get_augmentation(
        {"operations": ["flip", {"flip": {"pairs": []}}], "engine": engine}, keypoints=names
    )
    assert [item.pairs for item in found.operations] == [((1, 2),), ()]


@pytest.mark.parametrize("engine", LACKING)
def test_boxes_without_masks_follow_the_pixels(engine):
    names = ("images", "boxes", "labels")
    example = {name: rectangle()[name] for name in names}
    found = augmented(engine, OPERATIONS["shift"](0.2, 0.2), example, fill_value=0.0)
    for row in range(4):
        rows, columns = np.nonzero(found["images"][row, ..., 0] > 125)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found["boxes"][row, 0], box, atol=1.1)


@pytest.mark.parametrize("engine", LACKING)
@pytest.mark.parametrize("name", ["erase", "brightness", "edges"])
def test_what_hides_or_colours_leaves_annotations(engine, name):
    example = rectangle()
    found = augmented(engine, always(name), example)
    for key in example.keys() - {"images"}:
        np.testing.assert_array_equal(found[key], example[key])


@pytest.mark.parametrize("engine", LACKING)
def test_probability_zero_changes_nothing(engine):
    import tensorflow as tf

    operations = [
        dataclasses.replace(always(name), probability=0.0)
        for name in ("flip", "rotate", "contrast", "erase")
    ]
    example = {"images": tf.constant(noise()["images"]), "seed": tf.constant([1, 2])}
    found = Augmentation(tuple(operations), engine=engine)(example)
    np.testing.assert_array_equal(found["images"], example["images"])


@pytest.mark.parametrize("engine", LACKING)
@pytest.mark.parametrize(
    "operation",
    [OPERATIONS["flip"](), OPERATIONS["flip"]("vertical"), OPERATIONS["zoom"]((1.5, 1.5))],
)
def test_what_is_not_drawn_equals_the_native_engine(engine, operation):
    example = {"images": rectangle()["images"] // 2 + noise(4)["images"][:, :1, :1] // 2}
    found, expected = (augmented(name, operation, example) for name in (engine, "native"))
    difference = np.abs(found["images"].astype(int) - expected["images"])
    assert difference.mean() < 0.5 and difference.max() <= 4


@pytest.mark.parametrize("engine", LACKING)
@pytest.mark.parametrize("name", ["saturation", "hue", "rotate", "brightness"])
def test_grey_images(engine, name):
    example = noise(channels=1)
    found = augmented(engine, always(name), example)
    assert found["images"].shape == example["images"].shape
    assert (found["images"] == example["images"]).all() == (name in ("saturation", "hue"))


@pytest.mark.parametrize(
    ("engine", "operation", "message"),
    [
        ("albumentations", Mosaic(), "engine='albumentations' can't do 'mosaic'; 'native' can"),
        ("keras", Zoom(anywhere=True), "'zoom' with anywhere=True; 'native' and 'albumentations'"),
        ("keras", Shear(1.0), "'shear' by more than pi / 4"),
    ],
)
def test_what_an_engine_lacks(engine, operation, message):
    with pytest.raises(ValueError, match=message):
        augmented(engine, operation, noise())


@pytest.mark.parametrize("engine", ENGINES)
def test_images_that_an_operation_cannot_take(engine):
    with pytest.raises(ValueError, match="crop: images of 1 x 24 pixels"):
        augmented(engine, OPERATIONS["crop"](), {"images": noise()["images"][:, :1]})
    for channels in (2, 4):
        if "fancy_pca" not in LACKING.get(engine, ()):
            with pytest.raises(ValueError, match=f"fancy_pca: images have {channels} channels"):
                augmented(engine, OPERATIONS["fancy_pca"](), noise(channels=channels))


@pytest.mark.parametrize("engine", LACKING)
def test_reflections_of_objects_are_refused(engine):
    with pytest.raises(ValueError, match="a second time"):
        augmented(engine, OPERATIONS["shift"](), rectangle(), fill="reflect")
    with pytest.raises(ValueError, match="a second time"):
        augmented(engine, OPERATIONS["crop"](), rectangle())


@pytest.mark.parametrize("engine", LACKING)
def test_in_a_data_set(engine):
    from vislearn.data import load_dataset

    augment = Augmentation((OPERATIONS["shift"](), OPERATIONS["brightness"]()), engine=engine)
    first, second = (
        next(iter(load_dataset("digits", augment=augment, quiet=True).training_batches()))[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.shape == (32, 8, 8, 1)
