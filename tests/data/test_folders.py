"""Folders of images: layouts, splits, classes, and what can be wrong with them."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import encoded, noise
from vislearn.data import load_dataset
from vislearn.data.images import ImageError, read_image
from vislearn.data.splits import stratified_split


def names(dataset, split):
    return [f"{path.parent.name}/{path.name}" for path in dataset.paths(split)]


def test_one_piece_is_split_70_10_20(make_folder):
    folder = make_folder({"cat": 20, "dog": 40})
    data = load_dataset(folder)
    assert data.info.counts == {"train": 42, "validation": 6, "test": 12}
    assert data.info.classes == ("cat", "dog")
    assert data.info.image_shape == (12, 12, 3)
    for split, counts in (("train", [14, 28]), ("validation", [2, 4]), ("test", [4, 8])):
        np.testing.assert_array_equal(np.bincount(data.arrays(split)["labels"]), counts)
    everything = [name for split in data.info.counts for name in names(data, split)]
    assert len({*everything}) == len(everything) == 60
    assert "70% train, 10% validation, 20% test" in " ".join(data.info.notes)


def test_split_depends_on_names_only(make_folder, monkeypatch):
    folder = make_folder({"cat": 20, "dog": 40})
    first = load_dataset(folder)
    walk, iterdir = os.walk, Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(iterdir(path))))
    monkeypatch.setattr(
        "vislearn.data.folders.os.walk",
        lambda top: ((place, below, names[::-1]) for place, below, names in walk(top)),
    )
    again = load_dataset(folder, seed=1)
    for split in ("train", "validation", "test"):
        assert names(first, split) == names(again, split)
        # Drawn, not cut from the end: neighbours in a folder are often of one scene.
        cats = [name for name in names(first, split) if name.startswith("cat")]
        assert cats != sorted(names(first, "all"))[: len(cats)]


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_given_splits_keep_their_roles(make_folder, validation):
    folder = make_folder(
        {f"{s}/{c}": n for s, n in (("train", 5), (validation, 3), ("test", 2)) for c in "ab"}
    )
    data = load_dataset(folder)
    assert data.info.counts == {"train": 10, "validation": 6, "test": 4}
    assert {path.parent.parent.name for path in data.paths("test")} == {"test"}
    assert {path.parent.parent.name for path in data.paths("validation")} == {validation}
    assert data.info.notes == ()


def test_validation_is_held_out_of_train_never_of_test(make_folder):
    folder = make_folder({"train/a": 30, "train/b": 10, "test/a": 4, "test/b": 4})
    data = load_dataset(folder)
    assert data.info.counts == {"train": 36, "validation": 4, "test": 8}
    np.testing.assert_array_equal(np.bincount(data.arrays("validation")["labels"]), [3, 1])
    assert {path.parent.parent.name for path in data.paths("validation")} == {"train"}
    assert data.info.notes == ("10% of the training images are held out for validation.",)
    assert data.paths("validation") == load_dataset(folder, seed=1).paths("validation")


def test_pixels_labels_and_paths_belong_together(make_folder):
    data = load_dataset(make_folder({"a": 6, "b": 7}))
    for split in ("train", "validation", "test", "all"):
        images, labels = data.arrays(split).values()
        assert images.dtype == np.uint8
        assert labels.dtype == np.int32
        for image, label, path in zip(images, labels, data.paths(split), strict=True):
            np.testing.assert_array_equal(image, read_image(path))
            assert data.info.classes[label] == path.parent.name
    assert len(data.arrays("all")["images"]) == 13
    np.testing.assert_array_equal(
        data.arrays("all", limit=2)["images"], data.arrays("all")["images"][[0, -1]]
    )
    assert len(data.arrays("all", limit=99)["images"]) == 13
    with pytest.raises(ValueError, match="limit=0"):
        data.arrays("all", limit=0)
    parts = list(data.batches("train", 4))
    np.testing.assert_array_equal(
        np.concatenate([part["images"] for part in parts]), data.arrays("train")["images"]
    )
    np.testing.assert_array_equal(
        np.concatenate([part["labels"] for part in parts]), data.arrays("train")["labels"]
    )


def test_files_below_a_class_belong_to_it_and_hidden_ones_do_not(make_folder):
    folder = make_folder({"a/deep/deeper": 3, "b": 3})
    (folder / "a" / ".DS_Store").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / "README.txt").write_text("hello")
    data = load_dataset(folder)
    assert len(data.paths("all")) == 6
    assert data.info.skipped == ()
    assert "README.txt" in data.info.notes[0]


def test_a_class_may_be_called_train(make_folder):
    assert load_dataset(make_folder({"train": 4, "plane": 4})).info.classes == ("plane", "train")


def spoil(folder):
    """Puts four files that can't be used among the cats; returns their names and reasons."""
    jpeg = encoded(noise(9, 64, 64), "JPEG")
    for name, content in (
        ("cut.jpg", jpeg[: len(jpeg) // 2]),
        ("huge.png", encoded(noise(8, 80, 80))),
        ("text.png", b"these are no pixels\n"),
        ("empty.png", b""),
    ):
        (folder / "cat" / name).write_bytes(content)
    return {
        "cut.jpg": "damaged",
        "huge.png": "80 x 80 pixels",
        "text.png": "a text",
        "empty.png": "an empty file",
    }


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_bad_files_are_left_out_and_named(make_folder, capsys, cache):
    folder = make_folder({"cat": 10, "dog": 10})
    reasons = spoil(folder)
    data = load_dataset(folder, max_pixels=5000, cache=cache)
    assert sum(data.info.counts.values()) == 20
    found = {path.rsplit("/", 1)[-1]: reason for path, reason in data.info.skipped}
    assert found.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in found[name]
    images, labels = data.arrays("all").values()
    for image, label, path in zip(images, labels, data.paths("all"), strict=True):
        np.testing.assert_array_equal(image, read_image(path))
        assert data.info.classes[label] == path.parent.name
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0].startswith("Left out 4 of 24 files, the first:")


def test_quiet_says_nothing(make_folder, capsys):
    folder = make_folder({"cat": 10, "dog": 10})
    spoil(folder)
    load_dataset(folder, quiet=True, image_size=12)
    assert capsys.readouterr() == ("", "")


def test_strict_raises(make_folder):
    folder = make_folder({"cat": 10, "dog": 10})
    (folder / "dog" / "zz.jpg").write_bytes(encoded(noise(9, 64, 64), "JPEG")[:700])
    with pytest.raises(ImageError, match=r"zz\.jpg: damaged"):
        load_dataset(folder, strict=True)


def test_unreadable_file_is_left_out(make_folder):
    folder = make_folder({"cat": 10, "dog": 10})
    (folder / "dog" / "gone.png").symlink_to(folder / "nowhere.png")
    data = load_dataset(folder, quiet=True)
    assert data.info.skipped == ((str(folder / "dog" / "gone.png"), "No such file or directory"),)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_grey_only_if_every_image_is(make_folder, cache):
    folder = make_folder({"a": 30, "b": 30}, channels=1)
    assert load_dataset(folder, cache=cache).info.image_shape == (12, 12, 1)
    assert load_dataset(folder, cache=cache, channels=3).info.image_shape == (12, 12, 3)
    colour = noise(77)
    (folder / "b" / "029.png").write_bytes(encoded(colour))
    mixed = load_dataset(folder, cache=cache)
    assert mixed.info.image_shape == (12, 12, 3)
    images, _ = mixed.arrays("all").values()
    for image, path in zip(images, mixed.paths("all"), strict=True):
        np.testing.assert_array_equal(image, read_image(path))
    assert load_dataset(folder, cache=cache, channels=1).info.image_shape == (12, 12, 1)


def test_sizes_must_agree_or_be_given(make_folder):
    folder = make_folder({"a": 4, "b": 4})
    (folder / "b" / "wide.png").write_bytes(encoded(noise(1, 12, 30)))
    with pytest.raises(ValueError, match=r"000\.png has 12 x 12, .*wide\.png has 30 x 12.*image_"):
        load_dataset(folder)
    assert load_dataset(folder, image_size=8).info.image_shape == (8, 8, 3)
    assert load_dataset(folder, image_size=(8, 10)).info.image_shape == (8, 10, 3)
    fallen_back = load_dataset(folder, fallback_size=(16, 16))
    assert fallen_back.info.image_shape == (16, 16, 3)
    assert "differ in size" in fallen_back.info.notes[0]
    # Where all agree the fallback is not used.
    (folder / "b" / "wide.png").unlink()
    assert load_dataset(folder, fallback_size=16).info.image_shape == (12, 12, 3)


def test_an_error_stops_the_reading(make_folder):
    folder = make_folder({"a": 3, "b": 400})
    (folder / "a" / "wide.png").write_bytes(encoded(noise(1, 12, 30)))
    before = {*threading.enumerate()}
    with pytest.raises(ValueError, match="differ in size") as caught:
        load_dataset(folder)
    # The error is alive, and with it the frame that was reading; the threads are not.
    assert {*threading.enumerate()} <= before, caught


def test_resize_mode_reaches_the_pixels(make_folder):
    folder = make_folder({"a": 3, "b": 3}, height=12, width=24)
    crop, stretch = (
        load_dataset(folder, image_size=12, resize=mode).arrays("all")["images"]
        for mode in ("crop", "stretch")
    )
    path = load_dataset(folder).paths("all")[0]
    np.testing.assert_array_equal(crop[0], read_image(path)[:, 6:18])
    squeezed = Image.open(path).resize((12, 12), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(stretch[0], squeezed)


def test_cache_makes_no_difference(make_folder):
    folder = make_folder({"a": 9, "b": 8})
    kept, streamed = (load_dataset(folder, cache=cache, image_size=7) for cache in ("auto", "none"))
    assert kept._images.pixels is not None
    assert streamed._images.pixels is None
    np.testing.assert_array_equal(kept.arrays("all")["images"], streamed.arrays("all")["images"])


def test_auto_cache_has_a_limit(make_folder, monkeypatch):
    folder = make_folder({"a": 9, "b": 8})
    monkeypatch.setattr("vislearn.data.reading.AUTO_CACHE_BYTES", 17 * 12 * 12 * 3 - 1)
    assert load_dataset(folder)._images.pixels is None
    assert load_dataset(folder, cache="memory")._images.pixels is not None
    monkeypatch.setattr("vislearn.data.reading.AUTO_CACHE_BYTES", 17 * 12 * 12 * 3)
    assert load_dataset(folder)._images.pixels is not None


def test_wrong_folders(make_folder, tmp_path):
    make_folder({"a": 1, "b": 1})
    with pytest.raises(FileNotFoundError, match=r"no folder .*pictrues.*mean .*pictures\?"):
        load_dataset(tmp_path / "pictrues")
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_dataset(str(tmp_path / "else" / "where"))
    file = tmp_path / "pictures" / "a" / "000.png"
    with pytest.raises(NotADirectoryError, match=r"000\.png is a file"):
        load_dataset(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds nothing"):
        load_dataset(tmp_path / "empty")
    with pytest.raises(ValueError, match="holds only files"):
        load_dataset(file.parent)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"only": 3}, "one class only, 'only'"),
        ({"inner/a": 3, "inner/b": 3}, r"one class only, 'inner'.*mean .*pictures/inner\?"),
        ({"a": 3, "b": 0}, r"class folder .*pictures/b holds no files"),
        ({"test/a": 3, "test/b": 3}, r"has test/ but no train/"),
        (
            {"train/a": 3, "train/b": 3, "test/a": 1, "test/c": 1},
            r"test has the classes \['c'\], which .*train does not have",
        ),
        (
            {"train/a": 3, "train/b": 3, "val/a": 1, "validation/a": 1},
            "both val/ and validation/",
        ),
    ],
)
def test_wrong_layouts(make_folder, layout, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(make_folder(layout))


def test_class_without_readable_image(make_folder):
    folder = make_folder({"a": 3, "b": 3})
    for path in (folder / "b").iterdir():
        path.write_text("no image")
    with pytest.raises(ValueError, match="no file of the class 'b' can be read"):
        load_dataset(folder, quiet=True)
    for path in (folder / "a").iterdir():
        path.write_text("no image")
    with pytest.raises(ValueError, match=r"None of the 6 files .*000\.png: found a text"):
        load_dataset(folder, quiet=True)


def test_classes_of_the_training_set_number_all_splits(make_folder):
    folder = make_folder({"train/a": 3, "train/b": 3, "train/c": 3, "test/c": 2, "test/b": 1})
    data = load_dataset(folder)
    np.testing.assert_array_equal(data.arrays("test")["labels"], [1, 2, 2])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("task", "captioning"),
        ("resize", "fit"),
        ("cache", "disk"),
        ("channels", 4),
        ("augment", "wild"),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("seed", -1),
        ("image_size", 0),
        ("image_size", (8, 8, 3)),
    ],
)
def test_arguments_are_checked(make_folder, argument, value):
    with pytest.raises(ValueError, match=str(argument).replace("_", ".")):
        load_dataset(make_folder({"a": 2, "b": 2}), **{argument: value})


def test_unknown_split(make_folder):
    data = load_dataset(make_folder({"train/a": 3, "train/b": 3}))
    for read in (data.arrays, data.paths, lambda split: list(data.batches(split, 2))):
        with pytest.raises(ValueError, match="split='test' must be one of"):
            read("test")


def test_split_by_another_seed():
    labels = np.repeat([0, 1], 30)
    first, again, other = (stratified_split(labels, {"test": 0.2}, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["test"], again["test"])
    assert (first["test"] != other["test"]).any()


@pytest.mark.parametrize("members", [1, 2, 3, 4, 10])
def test_small_classes_train_first(members):
    parts = stratified_split(np.zeros(members, int), {"test": 0.2, "validation": 0.1})
    assert len(parts["train"]) >= 1
    assert len(parts["test"]) == (1 if members < 8 else 2) * (members > 1)
    assert len(parts["validation"]) == (members > 2)
    assert sorted(np.concatenate([*parts.values()])) == list(range(members))
