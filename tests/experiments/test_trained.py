"""What the experiments with trained networks compute beside the training."""

import dataclasses

import numpy as np
import pytest

from vislearn.data import load_dataset
from vislearn.experiments import (
    ensemble_gain,
    lr_range_and_one_cycle,
    mixup_decision,
)
from vislearn.experiments.harness import Context, run_experiment
from vislearn.experiments.mc_dropout import turned
from vislearn.experiments.subsets import write_classes
from vislearn.training import RateRange, TrainingDiverged

pytestmark = pytest.mark.tensorflow


def test_averages_of_all_subsets():
    one, other = [[0.9, 0.1], [0.6, 0.4]], [[0.2, 0.8], [0.3, 0.7]]
    accuracies, entropies = ensemble_gain.by_size(np.array([one, other]), np.array([0, 1]))
    assert accuracies == [0.5, 1.0]
    expected = [-np.log([0.9, 0.4, 0.2, 0.7]).mean(), -np.log(0.55)]
    np.testing.assert_allclose(entropies, expected, rtol=1e-12)


def test_slope_of_a_decision():
    x, y = (np.linspace(*limits, mixup_decision.SIDE) for limits in mixup_decision.LIMITS)
    plane = 0.5 + 0.03 * (x - 0.41) + 0.04 * (y[:, None] - 0.13)
    assert mixup_decision.steepness(plane) == pytest.approx(0.05)


def test_some_classes_as_a_folder(tmp_path):
    data = load_dataset("digits")
    folder = write_classes(tmp_path / "some", data, ("6", "8"), size=20)
    some = load_dataset(folder, quiet=True)
    assert some.info.classes == ("6", "8") and some.info.image_shape == data.info.image_shape
    assert some.info.counts["train"] + some.info.counts["validation"] == 40
    test, found = data.arrays("test"), some.arrays("test")
    eights = test["images"][test["labels"] == 8]
    np.testing.assert_array_equal(found["images"][found["labels"] == 1], eights)
    before = folder.stat().st_mtime_ns
    assert write_classes(folder, data, ("6",)) == folder
    assert folder.stat().st_mtime_ns == before


def test_turned_by_a_right_angle():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(turned(images, 90), np.rot90(images, axes=(1, 2)))


@pytest.mark.parametrize("name", ["nfnet_agc", "lr_range_and_one_cycle"])
def test_what_learns_nothing_does_not_hold(name, tmp_path, monkeypatch):
    def diverge(*arguments, **options):
        raise TrainingDiverged("The loss is NaN.")

    steps = [1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0]
    found = RateRange("mlp", "digits", "nesterov", 0.1, *steps, *steps, False, 1e-3, 1e-3)
    monkeypatch.setattr(Context, "train", diverge)
    monkeypatch.setattr(lr_range_and_one_cycle, "sweep", lambda *a: dataclasses.asdict(found))
    result = run_experiment(name, out=tmp_path / name, quick=True, quiet=True)
    assert result.holds is False
