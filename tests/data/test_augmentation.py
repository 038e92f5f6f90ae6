"""What holds for all operations of augmentation."""

import numpy as np
import pytest
import tensorflow as tf
from augmenting import (
    CLASSES,
    COUNT,
    HEIGHT,
    WIDTH,
    certain,
    images_of,
    labels,
    pictures,
    run,
    scene,
)

from vislearn.data.augmentation import (
    OPERATIONS,
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
    GridMask,
    Hue,
    Lens,
    Mixup,
    Mosaic,
    Noise,
    ResizedCrop,
    Rotate,
    Saturation,
    ScaleCrop,
    Shear,
    Shift,
    Stretch,
    Zoom,
)

pytestmark = pytest.mark.tensorflow

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


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("operation", ZERO, ids=lambda item: item.key())
def test_nothing_happens_at_zero_strength(operation, dtype):
    images = pictures() if dtype == "uint8" else pictures(dtype=dtype) * np.float32(0.9)
    example = {"images": images, "labels": labels()}
    found = run(operation, example)
    np.testing.assert_allclose(found["images"], images, atol=0 if dtype == "uint8" else 1e-3)
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
