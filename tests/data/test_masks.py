"""Folders of masks: layouts, numbers, palettes, colours, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import encoded, noise
from vislearn.data import load_dataset
from vislearn.data.images import ImageError, read_mask

pytestmark = pytest.mark.tensorflow

SIZE = (12, 16)


def numbers(seed: int, classes: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, SIZE, np.uint8)


@pytest.fixture
def make_masks(tmp_path):
    """A function that writes pairs of images and masks below a new folder."""

    def make(layout: dict[tuple[str, str], int], write=encoded, name="scenes"):
        root = tmp_path / name
        seed = 0
        for (images, masks), count in layout.items():
            (root / images).mkdir(parents=True, exist_ok=True)
            (root / masks).mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                seed += 1
                pixels = noise(seed, *SIZE)
                (root / images / f"{seed:02}.jpg").write_bytes(encoded(pixels, "PNG"))
                (root / masks / f"{seed:02}.png").write_bytes(write(numbers(seed)))
        return root

    return make


def load(folder, **options):
    return load_dataset(
        folder, task="semantic_segmentation", batch_size=1, **{"quiet": True, **options}
    )


def assert_masks(data, split, seeds):
    expected = np.stack([numbers(seed) for seed in seeds])
    np.testing.assert_array_equal(data.arrays(split)["masks"], expected)


@pytest.mark.parametrize("pattern", ["{}/images {}/masks", "images/{} masks/{}"])
def test_official_splits(make_masks, pattern):
    counts = {"train": 4, "val": 2, "test": 3}
    folder = make_masks({tuple(pattern.format(s, s).split()): n for s, n in counts.items()})
    data = load(folder)
    assert data.info.counts == {"train": 4, "validation": 2, "test": 3}
    assert_masks(data, "train", [1, 2, 3, 4])
    assert_masks(data, "validation", [5, 6])
    assert_masks(data, "test", [7, 8, 9])
    assert data.info.classes == ("class 0", "class 1", "class 2")
    assert "There is no classes.txt" in data.info.notes[-1]


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_one_piece_is_split(make_masks, cache):
    data = load(make_masks({("images", "masks"): 20}), cache=cache)
    assert data.info.counts == {"train": 14, "validation": 2, "test": 4}
    assert "Split: 70% train, 10% validation, 20% test." in data.info.notes
    for split in data.info.counts:
        assert_masks(data, split, [int(path.stem) for path in data.paths(split)])


def test_masks_elsewhere(make_masks):
    folder = make_masks(
        {("photos/train2017", "labels/train2017"): 4, ("photos/val", "labels/val"): 2}
    )
    data = load(folder / "photos", annotations=folder / "labels")
    assert data.info.counts == {"train": 4, "validation": 2}
    assert_masks(data, "validation", [5, 6])
    flat = load(folder / "photos" / "val", annotations=folder / "labels" / "val")
    assert sum(flat.info.counts.values()) == 2


def test_masks_are_resized_by_the_nearest(make_masks):
    folder = make_masks({("train/images", "train/masks"): 3})
    for cache in ("memory", "none"):
        found = load(folder, image_size=(24, 32), cache=cache, resize="stretch").arrays("all")
        for mask, path_seed in zip(found["masks"], [1, 2, 3], strict=True):
            np.testing.assert_array_equal(
                mask, np.repeat(np.repeat(numbers(path_seed), 2, 0), 2, 1)
            )
    padded = load(folder, image_size=32, resize="pad").arrays("all")["masks"]
    assert (padded[:, 24:] == 255).all()
    assert (padded[:, :24] < 3).all()


def test_names_and_ignored_pixels(make_masks):
    def write(values):
        values = values.copy()
        values[0] = 255
        return encoded(values)

    folder = make_masks({("train/images", "train/masks"): 2}, write)
    (folder / "classes.txt").write_text("ground\nlittle cat\n\ndog\ncow\n")
    data = load(folder)
    assert data.info.classes == ("ground", "little cat", "dog", "cow")
    masks = data.arrays("train")["masks"]
    assert (masks[:, 0] == 255).all() and (masks[:, 1:] < 3).all()


def test_palette_images_hold_numbers(make_masks):
    def write(values):
        image = Image.fromarray(values, "L")
        image = image.convert("P")
        image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200] + [7] * 759)
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    folder = make_masks({("train/images", "train/masks"): 3}, write)
    path = folder / "train" / "masks" / "01.png"
    assert Image.open(path).mode == "P"
    np.testing.assert_array_equal(read_mask(path), numbers(1))
    assert len(load(folder).info.classes) == 3


def test_colours(make_masks):
    colours = np.array([[0, 0, 0], [128, 0, 0], [255, 255, 255]], np.uint8)
    folder = make_masks({("train/images", "train/masks"): 3}, lambda v: encoded(colours[v]))
    with pytest.raises(ValueError, match=r"01\.png holds colours; they need a classes\.txt"):
        load(folder)
    (folder / "classes.txt").write_text("ground 0 0 0\nbig dog 128 0 0\n")
    data = load(folder)
    assert data.info.classes == ("ground", "big dog")
    expected = np.array([0, 1, 255])[np.stack([numbers(seed) for seed in (1, 2, 3)])]
    np.testing.assert_array_equal(data.arrays("all")["masks"], expected)
    (folder / "classes.txt").write_text("ground 0 0 0\nwhite 255 255 255\n")
    with pytest.raises(ValueError, match=r"01\.png: the pixel at x=\d+, y=0 is \[128   0   0\]"):
        load(folder)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("a\nb\n", r"01\.png: the pixel at x=\d+, y=\d+ is 2, which is none of the 2 classes"),
        ("a\nb\na\n", "each once"),
        ("", "it must hold names"),
        ("a 0 0 0\nb\nc\n", "either all classes have a colour or none"),
        ("a 0 0 0\nb 0 0 0\n", "line 2: the colour .* is there twice"),
        ("a 0 0 300\n", "line 1: .* is no NAME RED GREEN BLUE"),
        ("a 0 0 0\nb 0 0 1\nc 0 0 2\n", r"01\.png holds numbers; classes\.txt gives colours"),
        ("\n".join(map(str, range(255))), "255 classes are more than 254"),
    ],
)
def test_wrong_classes(make_masks, classes, message):
    folder = make_masks({("train/images", "train/masks"): 2})
    (folder / "classes.txt").write_text(classes)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_wrong_masks(make_masks):
    folder = make_masks({("train/images", "train/masks"): 3})
    path = folder / "train" / "masks" / "02.png"
    path.write_bytes(encoded(np.zeros((12, 15), np.uint8)))
    with pytest.raises(ValueError, match=r"02\.png: the mask has 15 x 12 pixels, .* has 16 x 12"):
        load(folder)
    path.write_bytes(encoded(np.zeros(SIZE, np.uint16) + 300))
    with pytest.raises(ImageError, match=r"02\.png: a mask has 8-bit numbers"):
        load(folder)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"02\.png"):
        load(folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"The image .*02\.jpg has no mask .*02\.png"):
        load(folder)


def test_wrong_layouts(make_masks):
    with pytest.raises(ValueError, match="nothing to train on"):
        load(make_masks({("val/images", "val/masks"): 2}, name="one"))
    layout = {("train/images", "train/masks"): 2, ("images/train", "masks/train"): 2}
    with pytest.raises(ValueError, match="two sets of train images"):
        load(make_masks(layout, name="two"))
    with pytest.raises(ValueError, match="holds no image"):
        load(make_masks({("images", "masks"): 0}, name="three"))


def test_coco100(coco100):
    data = load(coco100, annotations=coco100 / "semantic", image_size=64)
    assert data.info.counts == {"train": 100, "validation": 100}
    assert len(data.info.classes) == 201  # 0 for unlabelled, then COCO's numbers with their gaps
    masks = data.arrays("train")["masks"]
    shares = np.bincount(masks.ravel(), minlength=256) / masks.size
    assert shares[1] > 0.05  # people
    assert shares[255] == 0
