"""`vislearn train` on measured quantities: from a folder with a table to a package that answers."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from vislearn import commands
from vislearn.data import load_dataset
from vislearn.export import load_predictor
from vislearn.training.fitting import train
from vislearn.training.run import Run

# In one process, so that the network is trained once.
pytestmark = pytest.mark.tensorflow

SIZE = 32


def disc(rng) -> tuple[np.ndarray, float, float]:
    """A bright disc somewhere on a dark picture, its radius in metres (1 pixel is 10) and grey."""
    radius, grey = rng.uniform(3, 10), rng.uniform(120, 250)
    x, y = rng.uniform(radius, SIZE - radius, 2)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    # Half a pixel of slope at the edge.
    inside = np.clip(radius - np.hypot(rows - y, columns - x) + 0.5, 0, 1)
    noise = rng.uniform(0, 30, (SIZE, SIZE))
    return (noise + inside * (grey - 30)).astype("uint8"), 10 * radius, grey


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """A folder with pictures and a table, split into training and test data."""
    folder, rng = tmp_path_factory.mktemp("discs"), np.random.default_rng(0)
    for split, count in (("train", 400), ("test", 60)):
        (folder / split / "pictures").mkdir(parents=True)
        with open(folder / split / "targets.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["file", "radius", "grey"])
            for index in range(count):
                pixels, radius, grey = disc(rng)
                name = f"pictures/{index:03}.png"
                Image.fromarray(pixels).save(folder / split / name)
                table.writerow([name, f"{radius:.4f}", f"{grey:.4f}"])
    return folder


@pytest.fixture(scope="module")
def run(discs, tmp_path_factory):
    return train(
        "deep_phurie",
        data=discs,
        out=tmp_path_factory.mktemp("regression") / "run",
        options={"filters": [8, 16, 32], "units": 32, "dropout": 0.0},
        epochs=30,
        batch_size=16,
        learning_rate=3e-3,
        quiet=True,
    )


def test_data(discs):
    data = load_dataset(discs, task="regression", batch_size=8)
    assert data.info.classes == ("radius", "grey")
    assert data.info.counts == {"train": 360, "validation": 40, "test": 60}
    images, targets = next(iter(data.test))
    assert images.shape == (8, SIZE, SIZE, 1)
    assert targets.shape == (8, 2)
    assert targets.dtype == "float32"
    np.testing.assert_array_equal(data.annotations("test")["targets"][:8], targets)


def test_it_learns(run):
    """Guessing the mean is wrong by 17 metres and by 33 grey levels."""
    found = run.metrics()["test"]
    assert found.keys() == {"mae", "rmse", "mae radius", "rmse radius", "mae grey", "rmse grey"}
    assert found["mae radius"] < 5
    assert found["mae grey"] < 10
    assert found["mae"] == pytest.approx((found["mae radius"] + found["mae grey"]) / 2)


def test_curves_are_in_the_units_of_the_targets(run):
    best = min(row["val_mae"] for row in run.history())
    assert best == pytest.approx(run.metrics()["validation"]["mae"], rel=1e-3)
    rmse = next(row["val_rmse"] for row in run.history() if row["val_mae"] == best)
    assert rmse == pytest.approx(run.metrics()["validation"]["rmse"], rel=1e-3)


def test_standardisation_is_that_of_the_training_data(run, discs):
    targets = run.data().annotations("train")["targets"]
    assert run.task().means == pytest.approx(targets.mean(axis=0))
    assert run.task().deviations == pytest.approx(targets.std(axis=0))
    assert Run.open(run.folder).task() == run.task()


def test_report(run):
    text = (run.folder / "report.html").read_text()
    assert "Answers and truth" in text
    assert text.count('class="figure"') == 2


def test_package_answers_in_the_units_of_the_targets(run, discs, capsys):
    folder = run.folder / "package"
    (report,) = commands.export_run(
        run.folder, folder, formats=("litert", "onnx"), quantize="int8", samples=32
    )
    assert {row.format for row in report.rows} == {"litert", "onnx", "litert_int8"}
    shown = [cell for column in report.table().columns for cell in column.cells]
    assert not any("%" in cell for cell in shown)
    predictor = load_predictor(folder)
    truth = run.data().arrays("test")
    found = predictor.task.measure(predictor.predict(truth["images"]), truth)
    assert found == pytest.approx(run.metrics()["test"], rel=1e-3)
    card = (folder / "card.md").read_text()
    assert "2 quantities: radius, grey." in card
    commands.predict_images(folder, [], data=str(discs), count=2, as_json=True)
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line["values"].keys() == line["true"].keys() == {"radius", "grey"}
    commands.predict_images(folder, [], data=str(discs), count=2, out=folder / "picture.png")
    assert "radius" in capsys.readouterr().out
    rows = commands.evaluate_targets([run.folder, folder], str(discs), formats=("keras", "litert"))
    assert [row["format"] for row in rows] == ["keras", "litert"]
    assert all(row["metrics"]["mae"] < 8 for row in rows)
