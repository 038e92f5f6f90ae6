"""The packages that ship with the project: whole, small, and as good as they say."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vislearn
from vislearn.commands import predict_images
from vislearn.export import evaluate_package, inspect_package

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[1]
HOME = ROOT / "saved_models"
SHIPPED = ("cifar10", "digits", "mnist", "mnist_generator", "shapes_detector", "shapes_segmenter")
PACKAGES = [path.parent for name in SHIPPED for path in sorted(HOME.glob(f"{name}/**/model.json"))]
# What each answers on data that are embedded, at least.
FIGURES = {
    "digits": ("digits", "accuracy", 0.97),
    "shapes_detector": ("shapes", "map50", 0.93),
    "shapes_segmenter": ("shapes", "mean_iou", 0.9),
}
every_package = pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)


def test_all_ship_and_are_small_together():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "saved_models"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a checkout: git can't tell what ships")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert {file.parent for file in files if file.name == "model.json"} == {*PACKAGES}
    assert {folder.relative_to(HOME).parts[0] for folder in PACKAGES} == {*SHIPPED}
    assert sum(file.stat().st_size for file in files) < 25e6


@every_package
def test_what_ships_is_what_was_exported(folder):
    assert inspect_package(folder).problems == []


@every_package
def test_the_card_says_how_it_was_made(folder):
    card = (folder / "card.md").read_text(encoding="utf-8")
    command = json.loads((folder / "model.json").read_text())["training"]["command"]
    assert command.startswith("vislearn train ") and command in card
    assert "/tmp" not in command and "--data /" not in command
    assert "Exported" in card and "Keras" in card


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_as_good_as_it_says(name):
    data, metric, least = FIGURES[name]
    manifest = json.loads((HOME / name / "model.json").read_text())
    truth = vislearn.load_dataset(
        data,
        task=manifest["task"],
        image_size=tuple(manifest["inputs"][0]["shape"][1:3]),
        quiet=True,
    ).arrays("test", limit=200)
    rows = evaluate_package(HOME / name, truth, ["litert", "litert_int8"], repeats=1)
    for row in rows:
        assert row.metrics[metric] >= least, row.format


def test_digits_that_are_made_can_be_read():
    """The generator and the classifier of MNIST, one behind the other."""
    maker = vislearn.load_predictor(HOME / "mnist_generator" / "decoder")
    (code,) = maker.manifest["inputs"]
    codes = np.random.default_rng(0).normal(size=(64, *code["shape"][1:])).astype("float32")
    pictures = maker.predict(codes)["image"]
    assert pictures.dtype == np.uint8
    scores = vislearn.load_predictor(HOME / "mnist").predict(pictures)["scores"]
    assert scores.max(axis=1).mean() > 0.6
    assert len(set(scores.argmax(axis=1))) >= 7


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("mnist", 0.985), ("cifar10", 0.83)])
def test_figures_on_real_data(name, least, real_data):
    truth = vislearn.load_dataset(real_data(name), quiet=True).arrays("test", limit=2000)
    for row in evaluate_package(HOME / name, truth, repeats=1):
        assert row.metrics["accuracy"] >= least, row.format


def test_predicted_boxes_are_in_pixels_of_the_picture(tmp_path, capsys):
    sample, twice = HOME / "samples" / "shapes.png", tmp_path / "twice.png"
    with Image.open(sample) as picture:
        picture.resize((2 * picture.width, 2 * picture.height)).save(twice)
    predict_images(HOME / "shapes_detector", [sample, twice], top=1, as_json=True)
    (small,), (large,) = (
        json.loads(line)["objects"] for line in capsys.readouterr().out.splitlines()
    )
    assert small["label"] == large["label"]
    np.testing.assert_allclose(large["box"], 2 * np.array(small["box"]), atol=3)
