"""Conformal prediction sets: the quantile, the scores, and a coverage that holds over draws."""

import numpy as np
import pytest

from vislearn.selection.prediction_sets import (
    SCORES,
    aps_scores,
    calibrate,
    conformal_quantile,
    lac_scores,
    measure,
)

CLASSES = 6


def draw(rng, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network that is wrong about its own confidence, and the true labels."""
    logits = rng.normal(0, 1.5, (count, CLASSES))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (true.cumsum(1) > rng.random((count, 1))).argmax(1)
    claimed = np.exp(2.5 * logits + rng.normal(0, 1, logits.shape))
    return claimed / claimed.sum(1, keepdims=True), labels


@pytest.mark.parametrize(
    ("count", "coverage", "rank"), [(9, 0.9, 9), (19, 0.95, 19), (99, 0.9, 90), (100, 0.9, 91)]
)
def test_quantile_is_the_rank_of_the_paper(count, coverage, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(scores, coverage) == rank


def test_too_few_images_say_how_many_are_needed():
    with pytest.raises(ValueError, match=r"coverage=0.95 needs at least 19 .* there are 18"):
        conformal_quantile(np.zeros(18), 0.95)
    conformal_quantile(np.zeros(19), 0.95)


def test_scores_by_hand():
    probabilities = np.array([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]])
    np.testing.assert_allclose(lac_scores(probabilities), [[0.5, 0.8, 0.7], [0.9, 0.9, 0.2]])
    np.testing.assert_allclose(aps_scores(probabilities), [[0.5, 1.0, 0.8], [0.9, 1.0, 0.8]])


@pytest.mark.parametrize("method", SCORES)
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_coverage_holds_over_many_draws(method, coverage):
    """Theorem D.1: over calibrations and images, between the stated coverage and 1 / (n + 1) more.

    With 40 images the bound is 2.4 points wide, and the mean of 1,500 draws of 40 new images has a
    standard error of about a quarter of a point.
    """
    rng, found = np.random.default_rng(1), []
    count, draws = 40, 1500
    for _ in range(draws):
        sets = calibrate(*draw(rng, count), coverage=coverage, method=method)
        probabilities, labels = draw(rng, 40)
        found.append(sets(probabilities)[np.arange(40), labels].mean())
    error = 3.5 * np.std(found) / np.sqrt(draws)
    assert np.mean(found) >= coverage - error
    if method == "lac":  # The other adds the likeliest class where its set would be empty.
        assert np.mean(found) <= coverage + 1 / (count + 1) + error


def test_trusting_the_probabilities_would_miss_the_coverage():
    """The sets that hold 90% of the claimed probability are what calibration is needed for."""
    probabilities, labels = draw(np.random.default_rng(2), 20_000)
    own = np.take_along_axis(aps_scores(probabilities), labels[:, None], axis=1)
    assert np.mean(own <= 0.9) < 0.75


def test_adaptive_sets_are_never_empty_and_lac_sets_may_be():
    rng = np.random.default_rng(3)
    sure = np.full((400, 2), 0.01)
    labels = rng.integers(0, 2, 400)
    sure[np.arange(400), labels] = 0.99
    unsure = np.full((5, 2), 0.5)
    lac = calibrate(sure, labels, coverage=0.9, method="lac")
    assert not lac(unsure).any()
    aps = calibrate(sure, labels, coverage=0.9, method="aps")
    assert aps(unsure).any(axis=1).all()


def test_measure_by_class():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    found = measure(sets, np.array([0, 0, 0, 1]), ["a", "b", "c"])
    assert found["coverage"] == 0.5 and found["mean_size"] == 1.0
    assert found["sizes"] == {"0": 1, "1": 2, "2": 1}
    assert found["classes"]["a"] == {"images": 3, "coverage": 2 / 3, "mean_size": 4 / 3}
    assert found["classes"]["c"] == {"images": 0, "coverage": None, "mean_size": None}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"coverage": 1.0}, "coverage=1.0 must be above 0 and below 1"),
        ({"method": "raps"}, "method='raps' must be one of"),
        ({"labels": np.zeros(7, int)}, r"shapes \(50, 6\) and \(7,\)"),
    ],
)
def test_wrong_arguments(wrong, message):
    probabilities, labels = draw(np.random.default_rng(0), 50)
    with pytest.raises(ValueError, match=message):
        calibrate(probabilities, **{"labels": labels, **wrong})
