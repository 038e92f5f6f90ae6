"""Cross-validation: every image once, the test split never, and killed ones go on."""

import json

import numpy as np
import pytest

from vislearn.data import load_dataset
from vislearn.data.images import ImageError
from vislearn.selection import cross_validate
from vislearn.training import Run

pytestmark = pytest.mark.tensorflow

ARGUMENTS = {"epochs": 2, "batch_size": 8, "folds": 2, "data_options": {"strict": True}}


def start(guarded, out, **more):
    arguments = {**ARGUMENTS, **more}
    return cross_validate("linear_classifier", data=guarded, out=out, quiet=True, **arguments)


@pytest.fixture(scope="module")
def whole(guarded, tmp_path_factory):
    return start(guarded, tmp_path_factory.mktemp("folds") / "whole")


def test_the_test_split_is_not_read(guarded, whole):
    with pytest.raises(ImageError):
        load_dataset(guarded, strict=True, quiet=True)
    assert whole.images == 60


def test_every_image_is_predicted_once_by_a_network_that_never_saw_it(guarded, whole):
    with np.load(whole.folder / "predictions.npz") as file:
        found = {name: file[name] for name in file.files}
    expected = sorted(map(str, (guarded / "train").rglob("*.png")))
    assert sorted(found["path"].tolist()) == expected
    for number in (1, 2):
        mine = found["fold"] == number
        assert sorted(np.bincount(found["truth_labels"][mine])) == [15, 15]
        data = Run.open(whole.folder / f"fold_{number}").data()
        learned = {*map(str, data.paths("train")), *map(str, data.paths("validation"))}
        assert learned == {*expected} - {*found["path"][mine]}
        accuracy = np.mean(found["answer_class_id"][mine] == found["truth_labels"][mine])
        assert whole.folds[number - 1]["accuracy"] == pytest.approx(accuracy)


def test_figures(whole):
    values = [fold["accuracy"] for fold in whole.folds]
    assert whole.mean["accuracy"] == pytest.approx(np.mean(values))
    assert whole.deviation["accuracy"] == pytest.approx(abs(values[0] - values[1]) / np.sqrt(2))
    # Folds of the same size.
    assert whole.pooled["accuracy"] == pytest.approx(whole.mean["accuracy"])
    assert json.loads((whole.folder / "metrics.json").read_text()) == whole.to_json()
    assert (whole.folder / "folds.png").stat().st_size > 5000


def test_a_killed_one_goes_on_where_it_stopped(guarded, whole, killed, tmp_path):
    out = tmp_path / "folds"
    killed(3)  # After the first epoch of the second fold.
    with pytest.raises(KeyboardInterrupt):
        start(guarded, out)
    kept = (out / "fold_1" / "model.keras").stat().st_mtime_ns
    assert len(Run.open(out / "fold_2").history()) == 1
    found = start(guarded, out, resume=True)
    assert found.folds == whole.folds
    assert (out / "fold_1" / "model.keras").stat().st_mtime_ns == kept
    with pytest.raises(ValueError, match="has folds=2, not 3"):
        start(guarded, out, resume=True, folds=3)
    with pytest.raises(FileExistsError, match="exists already"):
        start(guarded, out)


def test_wrong_arguments(guarded, tmp_path):
    with pytest.raises(ValueError, match="folds=1 must be"):
        start(guarded, tmp_path / "one", folds=1)
    with pytest.raises(FileNotFoundError, match="nothing was begun"):
        start(guarded, tmp_path / "none", resume=True)
