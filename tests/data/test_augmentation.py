"""Each operation: what holds for all of them, and what each does in numbers."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from vislearn.data import load_dataset
from vislearn.data.augmentation import (
    AUGMENTATIONS,
    OPERATIONS,
    PRESETS,
    Augmentation,
    AugMix,
    Brightness,
    ColourShift,
    Contrast,
    Crop,
    CutMix,
    Edges,
    Erase,
    FancyPCA,
    Flip,
    GridMask,
    Hue,
    Lens,
    Mixup,
    Mosaic,
    Noise,
    RandAugment,
    ResizedCrop,
    Rotate,
    Saturation,
    ScaleCrop,
    Shear,
    Shift,
    Stretch,
    Zoom,
    get_augmentation,
    policies,
    recorded,
)

pytestmark = pytest.mark.tensorflow

COUNT, HEIGHT, WIDTH, CLASSES = 12, 24, 32, 5
KINDS = list(OPERATIONS.values())
ZERO = [
    *(kind(probability=0.0) for kind in KINDS),
    *(
        Shift(0, 0),
        Shear(0),
        Rotate(0),
        Zoom((1, 1)),
        Stretch((1, 1)),
        ResizedCrop((1, 1), (4 / 3, 4 / 3)),
    ),
    *(ScaleCrop((224, 224)), Crop(0), Lens(0), Brightness(0), Contrast(0), ColourShift(0)),
    *(Saturation(0), Hue(0), FancyPCA(0), Noise(0), Edges(0), Erase((0, 0)), GridMask(hidden=0)),
    *(Mixup(0), CutMix(0)),
]
REFUSING_BOXES = {Crop: "reflection", Mixup: "boxes", CutMix: "boxes", AugMix: "boxes"}


def certain(kind):
    """The operation, done to every image."""
    return kind(probability=1.0)


def pictures(count=COUNT, channels=3, dtype="uint8", seed=0):
    """Smooth pictures, in which every operation can be seen."""
    noise = np.random.default_rng(seed).uniform(0, 255, (count, 4, 4, channels))
    images = tf.image.resize(noise, (HEIGHT, WIDTH), "bicubic")
    return np.clip(np.round(images), 0, 255).astype(dtype)


def labels(count=COUNT):
    return np.eye(CLASSES, dtype="float32")[np.arange(count) % CLASSES]


def run(operations, example, seed=(3, 4), **options):
    operations = operations if isinstance(operations, tuple) else (operations,)
    tensors = {name: tf.constant(value) for name, value in example.items()}
    found = Augmentation(operations, **options)({**tensors, "seed": tf.constant(seed, tf.int64)})
    return {name: value.numpy() for name, value in found.items() if name != "seed"}


def images_of(operations, images, seed=(3, 4), **options):
    return run(operations, {"images": images, "labels": labels(len(images))}, seed, **options)[
        "images"
    ]


# What holds for all of them.


@pytest.mark.parametrize("operation", ZERO, ids=lambda item: item.key())
def test_nothing_happens_at_zero_strength(operation):
    example = {"images": pictures(), "labels": labels()}
    found = run(operation, example)
    np.testing.assert_array_equal(found["images"], example["images"])
    np.testing.assert_allclose(found["labels"], example["labels"], atol=1e-6)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("uint8", 1), ("float32", 3)])
@pytest.mark.parametrize("kind", KINDS, ids=OPERATIONS)
def test_shape_type_and_range(kind, dtype, channels):
    images = pictures(channels=channels, dtype=dtype)
    found = images_of(certain(kind), images)
    assert found.dtype == images.dtype
    assert found.shape == images.shape
    assert found.min() >= 0 and found.max() <= 255
    colourless = channels == 1 and kind in (Saturation, Hue)
    assert np.any(found != images) != colourless


@pytest.mark.parametrize("kind", KINDS, ids=OPERATIONS)
def test_the_seed_decides_all_and_one_graph_serves_all_seeds(kind):
    augmentation = Augmentation((kind(),))
    traces = []

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, HEIGHT, WIDTH, 3), tf.uint8),
            tf.TensorSpec((None, CLASSES)),
            tf.TensorSpec((2,), tf.int64),
        ]
    )
    def compiled(images, labels, seed):
        traces.append(seed)
        return augmentation({"images": images, "labels": labels, "seed": seed})["images"]

    images = pictures(24)
    first, again, other = (compiled(images, labels(24), seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert compiled(images[:5], labels(5), (1, 2)).shape == (5, HEIGHT, WIDTH, 3)
    assert len(traces) == 1
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    eager = images_of(kind(), images, (1, 2)).astype(int)
    # The compiler may round a place otherwise.
    assert np.mean(np.abs(eager - first) > 1) < 1e-2


@pytest.mark.parametrize("kind", KINDS, ids=OPERATIONS)
def test_probability_is_the_share_of_images(kind):
    images = pictures(200)
    operation = kind(probability=0.4)
    found = images_of(operation, images)
    changed = np.any(found != images, axis=(1, 2, 3)).mean()
    assert 0.15 < changed < 0.5  # some draw what changes nothing


@pytest.mark.parametrize("kind", [Mixup, CutMix, Mosaic])
def test_labels_stay_distributions(kind):
    found = run((certain(kind), Mixup()), {"images": pictures(64), "labels": labels(64)})
    np.testing.assert_allclose(found["labels"].sum(-1), 1, atol=1e-5)
    assert found["labels"].min() >= 0
    assert np.mean(found["labels"].max(-1) < 0.99) > 0.5


# Boxes and masks.


def scene():
    """A rectangle of one colour on another, with box, masks and a key point in its middle."""
    rng = np.random.default_rng(1)
    images = np.full((COUNT, 60, 80, 3), 60, np.uint8)
    boxes = np.zeros((COUNT, 2, 4), np.float32)
    masks = np.zeros((COUNT, 60, 80), np.uint8)
    for image in range(COUNT):
        width, height = rng.integers(20, 36, 2)
        x, y = rng.integers(4, 76 - width), rng.integers(4, 56 - height)
        boxes[image, 0] = (x, y, x + width, y + height)
        images[image, y : y + height, x : x + width] = 200
        masks[image, y : y + height, x : x + width] = 1
    instances = np.stack([masks == 1, masks == 9], axis=1)
    middle = (boxes[..., None, :2] + boxes[..., None, 2:]) / 2
    points = np.concatenate([middle, np.ones((COUNT, 2, 1, 1))], -1) * (boxes[:, :, None, 2:3] > 0)
    return {
        "images": images,
        "boxes": boxes,
        "labels": np.tile(np.array([3, -1], np.int32), (COUNT, 1)),
        "masks": masks,
        "instance_masks": instances,
        "keypoints": points.astype(np.float32),
    }


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in REFUSING_BOXES], ids=lambda kind: kind.key()
)
def test_objects_follow_their_pixels(kind):
    before = scene()
    found = run(certain(kind), before)
    kept = np.argwhere(found["labels"] >= 0)
    assert len(kept) >= COUNT / 2
    alike = []
    for image, row in kept:
        inside = found["instance_masks"][image, row]
        x1, y1, x2, y2 = found["boxes"][image, row].astype(int)
        assert inside[y1:y2, x1:x2].sum() == inside.sum()
        # Without its outline, where colours are mixed, an object has one colour still.
        core = inside & np.roll(inside, 2, 0) & np.roll(inside, -2, 0)
        core &= np.roll(inside, 2, 1) & np.roll(inside, -2, 1)
        pixels = found["images"][image].astype(int)
        alike.append(np.mean(np.abs(pixels[core] - np.median(pixels[core], axis=0)) < 60))
        x, y, visible = found["keypoints"][image, row, 0]
        if visible:
            assert inside[int(y), int(x)]
    hiding = kind in (Erase, GridMask)
    assert np.mean(alike) > (0.6 if hiding else 0.99)
    # The boxes of objects without masks are those of their masks, or larger where turned.
    alone = {name: before[name] for name in ("images", "boxes", "labels")}
    boxes = run(certain(kind), alone)["boxes"]
    for image, row in kept:
        if boxes[image, row].any():
            assert np.all(boxes[image, row, :2] <= found["boxes"][image, row, :2] + 1)
            assert np.all(boxes[image, row, 2:] >= found["boxes"][image, row, 2:] - 1)


@pytest.mark.parametrize("kind", REFUSING_BOXES, ids=lambda kind: kind.key())
def test_what_cannot_keep_boxes_right_refuses_them(kind):
    with pytest.raises(ValueError, match=f"{kind.key()}.*{REFUSING_BOXES[kind]}"):
        run(certain(kind), scene())


@pytest.mark.parametrize("fill", ["reflect", "wrap"])
def test_fills_that_repeat_objects_refuse_boxes(fill):
    with pytest.raises(ValueError, match=f"fill='{fill}' shows objects a second time"):
        run(Shift(), scene(), fill=fill)


@pytest.mark.parametrize("kind", [Crop, CutMix])
def test_masks_without_boxes_follow_their_pixels(kind):
    before = {name: value for name, value in scene().items() if name in ("images", "masks")}
    found = run(certain(kind), before)
    np.testing.assert_array_equal(found["images"][..., 0] == 200, found["masks"] == 1)
    assert np.any(found["masks"] != before["masks"])


def test_mixtures_want_distributions():
    for kind in (Mixup, CutMix, Mosaic):
        with pytest.raises(ValueError, match="labels must be distributions"):
            run(certain(kind), {"images": pictures(), "labels": np.arange(COUNT)})


# What each does, in numbers.


def possible(image: np.ndarray, *, flip: bool) -> list[np.ndarray]:
    """All results that padding by reflection, cropping and mirroring can have."""
    height, width, _ = image.shape
    pads = max(height // 8, 1), max(width // 8, 1)
    padded = np.pad(image, [(pads[0],) * 2, (pads[1],) * 2, (0, 0)], mode="reflect")
    found = [
        padded[top : top + height, left : left + width]
        for top in range(2 * pads[0] + 1)
        for left in range(2 * pads[1] + 1)
    ]
    return found + [image[:, ::-1] for image in found] if flip else found


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", [(16, 24, 3), (8, 8, 1), (4, 5, 3)])
def test_move_is_pad_crop_and_mirror(shape, flip):
    images = np.random.default_rng(0).integers(0, 256, (400, *shape), np.uint8)
    operations = (Crop(), Flip()) if flip else (Crop(),)
    moved = Augmentation(operations)({"images": images, "seed": (1, 2)})["images"].numpy()
    assert moved.dtype == np.uint8
    which = []
    for image, result in zip(images, moved, strict=True):
        matches = [
            n for n, other in enumerate(possible(image, flip=flip)) if (other == result).all()
        ]
        assert matches
        which.append(matches[0])
    counts = np.bincount(which, minlength=len(possible(images[0], flip=flip)))
    assert (counts > 0).mean() > 0.9  # every outcome occurs, none much too often
    assert counts.max() < 6 * counts.mean() + 10


def test_standard_of_small_pictures_stays_what_results_were_made_with():
    images = np.arange(2 * 16 * 16 * 3).astype(np.uint8).reshape(2, 16, 16, 3)
    found = get_augmentation("standard")({"images": images, "seed": (5, 9)})["images"].numpy()
    expected = [
        [[138, 123, 102], [122, 107, 86], [106, 91, 70], [154, 139, 118]],
        [[141, 120, 99], [189, 168, 147], [173, 152, 131], [157, 136, 115]],
    ]
    assert found[:, ::5, ::7, 0].tolist() == expected


def test_movements_are_done_in_their_order():
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4] = 255

    def column(*operations):
        found = images_of(operations, image, fill_value=0.0).astype(float)
        return found.sum((0, 1, 3)) @ np.arange(9) / found.sum()

    mirror = Flip(probability=1.0)
    # Shift draws from the first of two seeds if it stands first, so that the runs compare.
    there = column(Shift(0.3, 0), Shift(0, 0))
    assert there != pytest.approx(4, abs=0.1)
    assert column(Shift(0.3, 0), mirror) == pytest.approx(8 - there, abs=0.05)


def test_crops_show_what_they_say():
    ramp = np.arange(100, dtype="float32")[:, None, None]
    ramp = np.broadcast_to(ramp, (400, 100, 100, 1))
    for operation, least, most in (
        (ScaleCrop((256, 480), 224), 224 / 480, 224 / 256),
        (ResizedCrop((0.25, 0.64), (1, 1)), 0.5, 0.8),
    ):
        rows = images_of(operation, ramp)[:, :, 50, 0]
        seen = (rows[:, 90] - rows[:, 10]) / 80  # share of the height that is shown
        assert least - 0.01 < seen.min() < least + 0.05
        assert most - 0.05 < seen.max() < most + 0.01
        assert rows.min() >= 0 and np.ptp(rows[:, 50]) > 20  # never the outside, and anywhere


def test_lens_bends_outwards_and_inwards():
    y, x = np.mgrid[:41, :41] - 20.0
    image = np.broadcast_to((x**2 + y**2)[..., None] / 4, (200, 41, 41, 1)).astype("float32")
    found = images_of(Lens(0.2), image, fill="nearest")
    corner = np.sqrt(found[:, 6, 6, 0] * 4)  # the source's distance from the centre
    radius = np.hypot(14, 14)
    bend = (corner / radius - 1) / (radius / np.hypot(20.5, 20.5)) ** 2
    assert -0.21 < bend.min() < -0.17 and 0.17 < bend.max() < 0.21


def test_noise_edges_and_components_in_numbers():
    grey = np.full((200, 24, 32, 3), 128, np.float32)
    deviations = (images_of(Noise(0.1), grey) - 128).std((1, 2, 3)) / 255
    assert deviations.max() < 0.105 and deviations.min() < 0.02
    assert deviations.mean() == pytest.approx(0.05, abs=0.01)

    images = pictures(40, dtype="float32") / 2 + 60
    found = images_of(Edges(1.0), images)
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    mean = sum(padded[:, i : i + 24, j : j + 32] for i in range(3) for j in range(3)) / 9
    detail = (images - mean)[:, 1:-1, 1:-1]
    change = (found - images)[:, 1:-1, 1:-1]
    amount = (change * detail).sum((1, 2, 3)) / (detail**2).sum((1, 2, 3))
    np.testing.assert_allclose(change, amount[:, None, None, None] * detail, atol=1e-2)
    assert 0 <= amount.min() < 0.2 and 0.8 < amount.max() <= 1

    changes = (images_of(FancyPCA(0.1), grey) - 128)[:, 0, 0] / 255
    along = changes @ np.array(FancyPCA().eigenvectors).T
    expected = 0.1 * np.array(FancyPCA().eigenvalues)
    np.testing.assert_allclose(along.std(0), expected, rtol=0.15)


def test_components_of_images():
    direction = np.array([0.6, 0.0, 0.8])
    strength = np.random.default_rng(0).normal(0, 20, (50, 8, 8, 1))
    found = FancyPCA.of_images(128 + strength * direction)
    assert found.eigenvalues[0] == pytest.approx((20 / 255) ** 2, rel=0.05)
    np.testing.assert_allclose(found.eigenvalues[1:], 0, atol=1e-9)
    np.testing.assert_allclose(np.abs(found.eigenvectors[0]), direction, atol=1e-6)
    assert Augmentation.from_dict(Augmentation((found,)).to_dict()).operations == (found,)


def test_what_is_hidden():
    white = np.full((300, 40, 40, 1), 255, np.uint8)
    erased = (images_of(Erase((0.1, 0.2), (0.5, 2), probability=1.0), white) == 114).mean((1, 2, 3))
    assert erased.min() > 0.07 and erased.max() < 0.23
    assert (
        0.5 > (images_of(Erase(count=3, value="black", probability=1.0), white) == 0).mean() > 0.2
    )
    noise = images_of(Erase((0.3, 0.3), value="noise", probability=1.0), white)
    assert len(np.unique(noise)) == 256
    grid = (images_of(GridMask((0.2, 0.4), 0.5, probability=1.0), white) == 114).mean((1, 2, 3))
    assert grid.mean() == pytest.approx(0.25, abs=0.03)
    assert grid.std() < 0.08


def test_mixup_mixes_labels_and_targets_like_pixels():
    images = pictures(64, dtype="float32")
    targets = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    found = run(
        Mixup(1.0), {"images": images, "labels": np.eye(64, dtype="float32"), "targets": targets}
    )
    weights = np.diag(found["labels"])
    assert weights.std() > 0.2 and weights.mean() == pytest.approx(0.5, abs=0.1)
    for name, values in (("images", images), ("targets", targets)):
        weight = weights.reshape((-1,) + (1,) * (values.ndim - 1))
        expected = weight * values + (1 - weight) * np.roll(values, -1, 0)
        np.testing.assert_allclose(found[name], expected, atol=1e-3)


def test_cutmix_weighs_labels_by_area():
    images = np.arange(64, dtype=np.uint8)[:, None, None, None] * np.ones((1, 20, 30, 1), np.uint8)
    found = run(CutMix(), {"images": images, "labels": np.eye(64, dtype="float32")})
    own = (found["images"] == images).mean((1, 2, 3))
    np.testing.assert_allclose(np.diag(found["labels"]), own, atol=1e-6)
    assert own.min() < 0.2 and own.max() > 0.8


def test_mosaic_shows_four_images():
    images = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 20, 30, 1), np.uint8)
    found = run(Mosaic((0.5, 0.5)), {"images": images, "labels": np.eye(8, dtype="float32")})
    for number in range(8):
        corners = found["images"][number, [0, 0, -1, -1], [0, -1, 0, -1], 0]
        expected = (number + np.arange(4)) % 8
        np.testing.assert_array_equal(corners, expected)
        np.testing.assert_allclose(found["labels"][number, expected], 0.25)
    # Other places of the point leave no gap.
    found = run(Mosaic((0.2, 0.8)), {"images": images + 1, "labels": np.eye(8, dtype="float32")})
    assert found["images"].max() <= 8 and found["images"].min() >= 1


def test_mosaic_keeps_the_objects_of_four_images():
    before = scene()
    found = run(Mosaic((0.5, 0.5)), before)
    assert found["boxes"].shape == (COUNT, 8, 4)
    assert np.all((found["labels"] >= 0).sum(1) == 4)
    expected = before["boxes"][:, 0] / 2
    np.testing.assert_allclose(found["boxes"][:, 0], expected, atol=1)
    np.testing.assert_allclose(
        found["boxes"][:, 6], np.roll(expected, -3, 0) + np.array([40, 30, 40, 30]), atol=1
    )


TONES = {
    "autocontrast": lambda image, strength: ImageOps.autocontrast(image),
    "equalize": lambda image, strength: ImageOps.equalize(image),
    "solarize": lambda image, strength: ImageOps.solarize(image, 256 * (1 - abs(strength))),
    "posterize": lambda image, strength: ImageOps.posterize(image, 8 - round(4 * abs(strength))),
    "contrast": lambda image, strength: ImageEnhance.Contrast(image).enhance(1 + 0.9 * strength),
    "brightness": lambda image, strength: ImageEnhance.Brightness(image).enhance(
        1 + 0.9 * strength
    ),
}


@pytest.mark.parametrize("strength", [0.5, -0.5])
def test_tones_are_those_of_pillow_one_after_the_other(strength):
    """Every pair of them, on pictures that do not fill the range."""
    images = (pictures(36) * 0.6 + 30).astype("uint8")
    pairs = [(first, second) for first in TONES for second in TONES]
    drawn = [[policies.NAMES.index(name) for name in layer] for layer in zip(*pairs, strict=True)]
    found = policies._toned(tf.constant(images), tf.constant(drawn), tf.fill((2, 36), strength))
    for pair, image, result in zip(pairs, images, found.numpy(), strict=True):
        expected = Image.fromarray(image)
        for name in pair:
            expected = TONES[name](expected, strength)
        # Pillow cuts off where we round, which the second may make more of.
        differing = np.abs(np.asarray(expected).astype(float) - result)
        assert differing.mean() < (3 if "equalize" in pair else 2), pair
        assert np.quantile(differing, 0.95) <= (10 if "equalize" in pair else 4), pair


@pytest.mark.parametrize(("name", "kind"), [("colour", "Color"), ("sharpness", "Sharpness")])
@pytest.mark.parametrize("strength", [0.8, -0.8])
def test_colour_and_sharpness_are_those_of_pillow(name, kind, strength):
    images = pictures(8) // 2 + 60
    drawn = tf.fill((1, 8), policies.NAMES.index(name))
    found = policies._blended(
        tf.constant(images, tf.float32), drawn, tf.fill(drawn.shape, strength)
    )
    for image, result in zip(images, np.clip(found, 0, 255), strict=True):
        enhancer = getattr(ImageEnhance, kind)(Image.fromarray(image))
        expected = np.asarray(enhancer.enhance(1 + 0.9 * strength)).astype(float)
        # Pillow leaves the border as it is, and cuts fractions off.
        assert np.abs(expected - result)[1:-1, 1:-1].max() < 2


def test_rand_augment_draws_each_of_its_operations():
    images = pictures(1500)
    found = images_of(RandAugment(1, 10), images)
    unchanged = np.all(found == images, axis=(1, 2, 3)).mean()
    assert unchanged == pytest.approx(1 / 14, abs=0.03)
    untouched = np.all(images_of(RandAugment(2, 0), images[:200]) == images[:200], axis=(1, 2, 3))
    # Without strength, all but auto-contrast and equalisation change nothing.
    assert untouched.mean() == pytest.approx((12 / 14) ** 2, abs=0.1)


def test_augmix_stays_near_the_image():
    images = pictures(100)
    found = images_of(AugMix(severity=1), images).astype(float)
    strong = images_of(AugMix(severity=10), images).astype(float)
    changes = [np.abs(values - images).mean() for values in (found, strong)]
    assert 1 < changes[0] < changes[1]
    one = images_of(AugMix(width=1, depth=1, alpha=100), images[:, :, :, :1])
    assert one.shape == (100, HEIGHT, WIDTH, 1)


# Descriptions.


def test_descriptions_are_read_as_they_are_written(tmp_path):
    whole = Augmentation(tuple(kind() for kind in KINDS), fill="reflect", engine="keras")
    assert Augmentation.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    path = tmp_path / "mine.yaml"
    path.write_text(whole.to_yaml())
    for given in (path, str(path), whole.to_dict(), whole):
        assert get_augmentation(given) == whole
        assert recorded(given) == whole.to_dict()
    assert recorded("standard") == "standard"
    path.write_text("operations:\n- flip\n- rotate: {angle: 0.1, probability: 0.5}\n- hue:\n")
    expected = (Flip(), Rotate(0.1, probability=0.5), Hue())
    assert get_augmentation(path) == Augmentation(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"operations": [{"rotate": {"angle": 20}}]},
            "rotate: angle=20 must be between 0 and 3.14",
        ),
        (
            {"operations": [{"rotate": {"angel": 1}}]},
            "rotate: .*angel.* must be a table of some of",
        ),
        ({"operations": ["turn"]}, "operations: 'turn' must be one of"),
        ({"operations": [{"flip": {}, "hue": {}}]}, "must be one operation"),
        ({"operations": "flip"}, "operations='flip' must be a list"),
        ({"steps": []}, "must be a table of some of"),
        ({"engine": "torch"}, "engine='torch' must be one of"),
        ({"fill": "mirror"}, "fill='mirror' must be one of"),
        ({"fill_value": 300}, "fill_value=300 must be between 0 and 255"),
        ({"operations": [{"flip": {"axis": "x"}}]}, "flip: axis='x' must be one of"),
        ({"operations": [{"flip": {"probability": 2}}]}, "probability=2 must be between 0 and 1"),
        ({"operations": [{"zoom": {"scale": [2, 1]}}]}, r"scale=\(2, 1\) must be two numbers"),
        ({"operations": [{"erase": {"count": 1.5}}]}, "count=1.5 must be an integer"),
        ({"operations": [{"mixup": {"alpha": 0.01}}]}, "alpha=0.01 must be 0, or 0.05 to 100"),
        ({"operations": [{"scale_crop": {"crop": 300}}]}, "crop=300 must be at most"),
        ({"operations": [{"fancy_pca": {"eigenvalues": [1, 2]}}]}, "eigenvalues=.*three numbers"),
    ],
)
def test_wrong_descriptions_are_told(values, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Augmentation.from_dict(values)
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=f"mine.yaml: .*{message}"):
        Augmentation.from_yaml(path)


def test_wrong_types_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"operations=.*must be operations"):
        Augmentation((Flip,))
    with pytest.raises(ValueError, match="augment=3 must be"):
        get_augmentation(3)
    with pytest.raises(FileNotFoundError):
        get_augmentation(tmp_path / "missing.yaml")
    (tmp_path / "broken.yaml").write_text("operations: [")
    with pytest.raises(ValueError, match=r"broken.yaml"):
        get_augmentation(tmp_path / "broken.yaml")


def test_presets_of_the_issue():
    wanted = {"none", "light", "standard", "strong", "resnet", "imagedatagenerator"}
    for task in ("classification", "regression", "detection", "semantic_segmentation"):
        assert wanted <= {*AUGMENTATIONS[task]}
    assert get_augmentation(None) is None
    assert get_augmentation("none") is None
    with pytest.raises(ValueError, match="augment='wild' must be one of"):
        get_augmentation("wild")


@pytest.mark.parametrize("task", ["classification", "detection"])
@pytest.mark.parametrize("name", PRESETS["classification"])
def test_presets_run_on_what_their_task_has(task, name):
    if name not in PRESETS[task] or name == "none":
        pytest.skip("no such preset, or nothing to do")
    example = {"images": pictures(), "labels": labels()} if task == "classification" else scene()
    found = run(PRESETS[task][name].operations, example, fill=PRESETS[task][name].fill)
    assert np.any(found["images"] != example["images"])
    assert found["images"].shape == example["images"].shape


@pytest.mark.parametrize(
    ("augment", "flips", "mirrors"),
    [("standard", True, True), ("standard", False, False), ("crop", True, False)],
)
def test_only_standard_mirrors_and_only_where_it_may(augment, flips, mirrors):
    ramp = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8)[:, None], (64, 32, 32, 1))
    example = {"images": ramp, "labels": np.zeros(64), "seed": (0, 0)}
    moved = get_augmentation(augment, flips=flips)(example)["images"].numpy()
    falling = (moved[:, 16, 8] > moved[:, 16, 24]).mean()
    assert 0.2 < falling < 0.8 if mirrors else falling == 0


# Training on mixtures.


def test_data_sets_give_distributions_where_images_are_mixed():
    data = load_dataset("digits", batch_size=64, augment={"operations": ["cutmix"]}, quiet=True)
    images, found = next(iter(data.train))
    assert found.shape == (64, 10)
    assert images.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(found, -1), 1, atol=1e-5)
    assert np.any((found > 0.1) & (found < 0.9))
    assert next(iter(data.validation))[1].shape == (64,)


@pytest.mark.slow
def test_training_on_mixtures_from_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from vislearn.cli import app
    from vislearn.training import Run

    (tmp_path / "mixup.yaml").write_text("operations: [{mixup: {alpha: 0.4}}, cutmix]")
    arguments = ["train", "resnet20_cifar", "--data", "digits", "--out", str(tmp_path / "run")]
    arguments += ["--epochs", "4", "--option", "depth=8", "--option", "width=8"]
    arguments += ["--augment", str(tmp_path / "mixup.yaml")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    made = Run.open(tmp_path / "run")
    operations = made.config.data_options["augment"]["operations"]
    assert [name for item in operations for name in item] == ["mixup", "cutmix"]
    assert made.metrics()["test"]["accuracy"] > 0.5
    (tmp_path / "mixup.yaml").write_text("operations: [{mixup: {alpha: 0.3}}]")
    result = CliRunner().invoke(app, [*arguments, "--resume"])
    assert "the run in" in str(result.exception) and "alpha" in str(result.exception)
