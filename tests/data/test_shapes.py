"""The embedded shapes: reproducible, and drawn object = mask = box."""

import dataclasses
import socket

import numpy as np
import pytest

from vislearn.data import load_dataset
from vislearn.data.shapes import (
    CLASSES,
    COLOURS,
    CONFIGS,
    KEYPOINTS,
    ShapesConfig,
    draw_scene,
    tight_box,
)

pytestmark = pytest.mark.tensorflow

FEW = (("train", 12), ("validation", 4), ("test", 5))


@pytest.fixture
def few(monkeypatch):
    """All configurations with a handful of pictures."""
    for name, config in CONFIGS.items():
        monkeypatch.setitem(CONFIGS, name, dataclasses.replace(config, counts=FEW))


def scenes(name: str, count: int = 25):
    return [draw_scene(CONFIGS[name], "train", number) for number in range(count)]


def test_a_picture_depends_on_seed_split_and_number_only():
    config = ShapesConfig("toy", size=48)
    first, again = (draw_scene(config, "train", 3) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.owner, again.owner)
    others = (
        draw_scene(config, "train", 4),
        draw_scene(config, "test", 3),
        draw_scene(ShapesConfig("toy", size=48, seed=1), "train", 3),
    )
    for other in others:
        assert (first.image != other.image).any()


@pytest.mark.parametrize("name", CONFIGS)
def test_counts_and_sizes_are_those_of_the_configuration(name):
    config = CONFIGS[name]
    found = scenes(name, 12)
    fewest, most = config.objects
    assert all(1 <= len(scene.labels) <= most for scene in found)
    assert any(len(scene.labels) >= fewest for scene in found)
    assert found[0].image.shape == (config.size, config.size, 3)


@pytest.mark.parametrize("name", ["96", "crowded"])
def test_boxes_are_tight_around_the_visible_masks(name):
    for scene in scenes(name):
        assert scene.masks.sum(0).max() == 1  # Visible parts do not overlap.
        for mask, box, area in zip(scene.masks, scene.boxes, scene.areas, strict=True):
            x1, y1, x2, y2 = box.astype(int)
            assert mask.sum() == area == mask[y1:y2, x1:x2].sum()
            inside = mask[y1:y2, x1:x2]
            edges = inside[0], inside[-1], inside[:, 0], inside[:, -1]
            assert all(edge.any() for edge in edges)


def test_pixels_of_a_mask_have_the_colour_of_its_object():
    """What is drawn is what the masks say: seen through a mask there is one colour, its own."""
    nearest = []
    for scene in scenes("96"):
        for mask, colour in zip(scene.masks, scene.colours, strict=True):
            core = mask  # away from the edges, which are anti-aliased
            for axis in (0, 1, 0, 1):
                core = core & np.roll(core, 1, axis) & np.roll(core, -1, axis)
            if not core.any():
                continue
            seen = np.median(scene.image[core], axis=0)
            gaps = {name: np.abs(seen - value).max() for name, value in COLOURS.items()}
            assert gaps[colour] <= 22
            nearest.append(np.abs(scene.image[core] - seen).max())
    assert np.max(nearest) < 25  # noise of standard deviation 3


def test_ground_and_objects_part_at_the_mask():
    """One step outside of a mask the picture is no longer of its object's colour."""
    for scene in scenes("single", 10):
        mask = scene.masks[0]
        ring = np.zeros_like(mask)
        for axis in (0, 1):
            for step in (-3, 3):
                ring |= np.roll(mask, step, axis)
        near = scene.image[ring & ~mask].astype(int)
        colour = np.median(scene.image[mask], axis=0)
        assert np.mean(np.abs(near - colour).max(-1) > 30) > 0.6


@pytest.mark.parametrize(
    ("label", "share"),
    # Of the area of the circumscribed circle.
    [("circle", 1.0), ("square", 2 / np.pi), ("triangle", 0.75 * 3**0.5 / np.pi), ("star", 0.357)],
)
def test_shapes_have_their_areas(label, share):
    config = ShapesConfig("one", size=128, objects=(1, 1), radius=(0.4, 0.4))
    areas = [
        scene.areas[0]
        for scene in (draw_scene(config, "train", number) for number in range(40))
        if CLASSES[scene.labels[0]] == label
    ]
    assert len(areas) > 3
    np.testing.assert_allclose(areas, share * np.pi * (0.4 * 128) ** 2, rtol=0.02)


def test_covered_objects_keep_their_share():
    """Objects laid on others leave the stated share: found by drawing the same without the rule."""
    kept = ShapesConfig("toy", size=64, objects=(8, 8), radius=(0.2, 0.25), visible=0.6)
    for number in range(15):
        scene = draw_scene(kept, "train", number)
        radii = np.array([0.2, 0.25]) * 64
        least = 0.6 * 0.357 * np.pi * radii[0] ** 2  # of the smallest star
        assert scene.areas.min() > 0.95 * least
    piled = ShapesConfig("toy", size=64, objects=(8, 8), radius=(0.2, 0.25), visible=0.0)
    crowds = [len(draw_scene(kept, "train", n).labels) for n in range(15)]
    assert np.mean(crowds) < 8  # Some found no room.
    assert all(len(draw_scene(piled, "train", n).labels) == 8 for n in range(5))


def test_keypoints_lie_on_their_objects():
    hidden = 0
    for scene in scenes("crowded", 12):
        for number, (points, mask) in enumerate(zip(scene.keypoints, scene.masks, strict=True)):
            assert points.shape == (len(KEYPOINTS), 3)
            for x, y, visible in points:
                assert bool(visible) == mask[int(y), int(x)], (number, x, y)
                hidden += not visible
            (_, left, top, right, bottom), box = points, scene.boxes[number]
            assert left[0] <= box[0] + 0.5 and top[1] <= box[1] + 0.5
            assert right[0] >= box[2] - 0.5 and bottom[1] >= box[3] - 0.5
    assert hidden > 10


def test_captions_tell_the_truth():
    for scene in scenes("96", 60):
        words = scene.caption.split()
        assert words[:3] == ["a", scene.colours[0], CLASSES[scene.labels[0]]]
        if len(scene.labels) == 1:
            assert len(words) == 3
            continue
        assert words[-3:] == ["a", scene.colours[1], CLASSES[scene.labels[1]]]
        (x, y), (u, v) = ((box[:2] + box[2:]) / 2 for box in scene.boxes[:2])
        holds = {"left": x < u, "right": x > u, "above": y < v, "below": y > v}
        assert holds[words[3]]


def test_semantic_mask_names_the_class_of_each_pixel():
    for scene in scenes("crowded", 5):
        expected = np.zeros(scene.owner.shape, int)
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            expected[mask] = label + 1
        np.testing.assert_array_equal(scene.semantic_mask, expected)


def test_detection(few):
    data = load_dataset("shapes", task="detection", extras=("instance_masks", "keypoints"))
    assert data.info.counts == dict(FEW)
    assert data.info.classes == CLASSES
    assert data.info.keypoints == KEYPOINTS
    found = data.arrays("test")
    for number in range(5):
        scene = draw_scene(CONFIGS["96"], "test", number)
        count = len(scene.labels)
        np.testing.assert_array_equal(found["images"][number], scene.image)
        np.testing.assert_array_equal(found["boxes"][number, :count], scene.boxes)
        np.testing.assert_array_equal(found["labels"][number, :count], scene.labels)
        np.testing.assert_array_equal(found["instance_masks"][number, :count], scene.masks)
        np.testing.assert_array_equal(found["keypoints"][number, :count], scene.keypoints)
        assert (found["labels"][number, count:] == -1).all()
        for name in ("boxes", "instance_masks", "keypoints", "crowd"):
            assert not found[name][number, count:].any()


def test_other_tasks(few):
    masks = load_dataset("shapes/64", task="semantic_segmentation")
    assert masks.info.classes == ("background", *CLASSES)
    scene = draw_scene(CONFIGS["64"], "train", 2)
    np.testing.assert_array_equal(masks.arrays("train")["masks"][2], scene.semantic_mask)
    for task in ("classification", "generation"):
        data = load_dataset("shapes", task=task)
        assert data.arrays("train")["images"].shape == (12, 64, 64, 3)
        labels = [draw_scene(CONFIGS["single"], "train", n).labels[0] for n in range(12)]
        np.testing.assert_array_equal(data.arrays("train")["labels"], labels)


def test_unknown_configuration():
    with pytest.raises(ValueError, match=r"shapes/huge.*'96'"):
        load_dataset("shapes/huge")


def test_a_folder_of_this_name_needs_a_path(few, tmp_path, monkeypatch):
    """What a script loads does not depend on what lies in the folder where it is run."""
    (tmp_path / "shapes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_dataset("shapes").info.counts == dict(FEW)
    with pytest.raises(ValueError, match="shapes holds nothing"):
        load_dataset("./shapes")


def test_tfds_builder(few, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    import vislearn.data.shapes_builder  # noqa: F401 (makes the name known)

    def refuse(*arguments, **_):
        raise AssertionError(f"tried the network: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    builder = tfds.builder("shapes/96", data_dir=tmp_path)
    for config in builder.BUILDER_CONFIGS:
        monkeypatch.setattr(config, "shapes", CONFIGS[config.name])
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    expected = {
        scene.image.tobytes(): scene
        for scene in (draw_scene(CONFIGS["96"], "test", number) for number in range(5))
    }
    found = [*tfds.as_numpy(builder.as_dataset(split="test"))]
    assert {example["image"].tobytes() for example in found} == expected.keys()
    for example in found:
        scene, objects = expected[example["image"].tobytes()], example["objects"]
        y1, x1, y2, x2 = objects["bbox"].T
        np.testing.assert_allclose(np.stack([x1, y1, x2, y2], -1) * 96, scene.boxes, atol=1e-4)
        np.testing.assert_array_equal(objects["label"], scene.labels)
        np.testing.assert_array_equal(objects["mask"][..., 0] > 0, scene.masks)
        np.testing.assert_array_equal(objects["keypoints"], scene.keypoints)
        np.testing.assert_array_equal(example["semantic_mask"][..., 0], scene.semantic_mask)
        assert example["caption"].decode() == scene.caption
        assert example["label"] == scene.label


def test_tight_box():
    mask = np.zeros((10, 12), bool)
    mask[3:7, 2:5] = True
    assert tight_box(mask) == (2, 3, 5, 7)
