"""Moving and mirroring: checked against the long way, example by example."""

import numpy as np
import pytest

from vislearn.data.augmentation import get_augmentation, move

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
    moved = move(images, (1, 2), flip=flip).numpy()
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


def test_seed_decides_all():
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), np.uint8)
    first, again, other = (
        move(images, seed, flip=True).numpy() for seed in ((1, 2), (1, 2), (1, 3))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_names():
    assert get_augmentation(None, flips=True) is None
    assert get_augmentation("none", flips=True) is None
    with pytest.raises(ValueError, match="augment='flip' must be one of"):
        get_augmentation("flip", flips=True)


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
