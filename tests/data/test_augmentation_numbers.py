"""What each operation of augmentation does, in numbers."""

import numpy as np
import pytest
import tensorflow as tf
from augmenting import COUNT, HEIGHT, WIDTH, images_of, pictures, run, scene
from PIL import Image, ImageEnhance, ImageOps

from vislearn.data.augmentation import (
    Augmentation,
    AugMix,
    Crop,
    CutMix,
    Edges,
    Erase,
    FancyPCA,
    Flip,
    GridMask,
    Lens,
    Mixup,
    Mosaic,
    Noise,
    RandAugment,
    ResizedCrop,
    ScaleCrop,
    Shift,
    get_augmentation,
    policies,
)

pytestmark = pytest.mark.tensorflow


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
