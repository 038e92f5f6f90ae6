"""Accuracies on class numbers and on distributions."""

import numpy as np
import pytest

from vislearn.metrics.classification import (
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
)

RNG = np.random.default_rng(0)
OUTPUTS = RNG.normal(size=(200, 7)).astype("float32")
NUMBERS = RNG.integers(0, 7, 200)
SOFT = np.eye(7, dtype="float32")[NUMBERS] * 0.6 + RNG.dirichlet(np.ones(7), 200) * 0.4


@pytest.mark.parametrize(
    ("metric", "k"), [(SparseCategoricalAccuracy(), 1), (SparseTopKCategoricalAccuracy(3), 3)]
)
def test_distributions_count_as_their_likeliest_class(metric, k):
    best = np.argsort(-OUTPUTS, axis=-1)[:, :k]
    expected = np.mean([number in row for number, row in zip(NUMBERS, best, strict=True)])
    for labels in (NUMBERS, NUMBERS[:, None], SOFT.astype("float32")):
        metric.reset_state()
        metric.update_state(labels, OUTPUTS)
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
