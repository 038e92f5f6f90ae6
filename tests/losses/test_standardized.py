"""The squared error of quantities in units of their own against float64 NumPy."""

import numpy as np
from keras import ops

from vislearn.losses import StandardizedSquaredError


def test_equals_numpy():
    rng = np.random.default_rng(0)
    means, deviations = (3.0, -200.0), (0.5, 40.0)
    targets = rng.normal(means, deviations, (32, 2)).astype("float32")
    answers = rng.normal(size=(32, 2)).astype("float32")
    answers[0] = (targets[0] - means) / deviations
    expected = (((targets.astype(float) - means) / deviations - answers) ** 2).mean(axis=-1)
    loss = StandardizedSquaredError(means, deviations)
    found = ops.convert_to_numpy(loss.call(targets, answers))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(float(loss(targets, answers)), expected.mean(), rtol=1e-6)
