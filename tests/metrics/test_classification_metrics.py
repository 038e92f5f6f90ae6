"""Accuracies on class numbers and on distributions, and figures by class."""

import numpy as np
import pytest

from vislearn.metrics.classification import (
    ClassAccuracy,
    TopKClassAccuracy,
    class_figures,
    confusion_matrix,
    macro_figures,
)

RNG = np.random.default_rng(0)
OUTPUTS = RNG.normal(size=(200, 7)).astype("float32")
NUMBERS = RNG.integers(0, 7, 200)
SOFT = np.eye(7, dtype="float32")[NUMBERS] * 0.6 + RNG.dirichlet(np.ones(7), 200) * 0.4


@pytest.mark.parametrize(("metric", "k"), [(ClassAccuracy(), 1), (TopKClassAccuracy(3), 3)])
def test_distributions_count_as_their_likeliest_class(metric, k):
    best = np.argsort(-OUTPUTS, axis=-1)[:, :k]
    expected = np.mean([number in row for number, row in zip(NUMBERS, best, strict=True)])
    for labels in (NUMBERS, NUMBERS[:, None], SOFT.astype("float32")):
        metric.reset_state()
        metric.update_state(labels, OUTPUTS)
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        (NUMBERS, OUTPUTS.argmax(axis=-1)),
        (np.array([0, 0, 1]), np.array([0, 2, 2])),  # 1 is never answered, 2 never true.
        (np.array([3]), np.array([3])),
    ],
)
def test_figures_by_class_are_those_of_scikit_learn(labels, predicted):
    from sklearn import metrics

    confusion = confusion_matrix(labels, predicted, 7)
    np.testing.assert_array_equal(
        confusion, metrics.confusion_matrix(labels, predicted, labels=range(7))
    )
    rows = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(7), zero_division=np.nan
    )
    found = class_figures(confusion)
    for values, expected in zip(found.values(), rows, strict=False):
        np.testing.assert_allclose(values, expected)
    means = metrics.precision_recall_fscore_support(labels, predicted, average="macro")
    np.testing.assert_allclose([*macro_figures(confusion).values()], means[:3])


def test_numbers_of_no_class_are_refused():
    with pytest.raises(ValueError, match=r"predicted lie in 0\.\.7, and must in 0\.\.6"):
        confusion_matrix([0, 1], [0, 7], 7)
