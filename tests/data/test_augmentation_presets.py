"""Descriptions and presets of augmentation."""

import json

import numpy as np
import pytest
import tensorflow as tf
from augmenting import labels, pictures, run, scene

from vislearn.data import load_dataset
from vislearn.data.augmentation import (
    AUGMENTATIONS,
    OPERATIONS,
    PRESETS,
    Augmentation,
    Flip,
    Hue,
    Rotate,
    get_augmentation,
    recorded,
)
from vislearn.data.augmentation.keypoints import mirrored_pairs

pytestmark = pytest.mark.tensorflow

KINDS = list(OPERATIONS.values())


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
        ({"operations": [["flip"]]}, "must be one operation"),
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
        ({"operations": [{"flip": {"pairs": [[1, 2], [2, 3]]}}]}, "pairs=.* each in one pair"),
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


def test_names_of_key_points_tell_what_a_mirror_exchanges():
    person = ("nose", "left_eye", "right_eye", "Left-Hip", "right-hip", "brightleft", "left_ear")
    for axis in ("horizontal", "vertical"):
        assert mirrored_pairs(person, axis) == ((1, 2), (3, 4))
    sides = ("centre", "left", "top", "right", "bottom")
    assert mirrored_pairs(sides, "horizontal") == ((1, 3),)
    assert mirrored_pairs(sides, "vertical") == ((2, 4),)


def test_the_leftmost_point_of_a_mirrored_object_is_on_its_left():
    augment = Augmentation((Flip(probability=1.0),))
    options = {"task": "detection", "extras": ("keypoints",), "batch_size": 8, "quiet": True}
    data = load_dataset("shapes", augment=augment, **options)
    data.target = lambda example: example
    batch = next(iter(data.train))
    points = batch["keypoints"].numpy()[batch["labels"].numpy() >= 0]
    names = data.info.keypoints
    left, right = (points[:, names.index(name), 0] for name in ("left", "right"))
    assert np.all(left <= right) and np.any(left < right)


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
