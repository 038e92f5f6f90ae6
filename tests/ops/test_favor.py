"""Random features against the exact softmax attention that they estimate."""

import numpy as np
import pytest
from keras import ops

from vislearn.ops.favor import linear_attention, orthogonal_gaussian, positive_features

rng = np.random.default_rng(0)
TOKENS, DIM = 12, 16
# Of a size where few samples do: the variance grows exponentially with the squares of the norms.
QUERY, KEY = (rng.normal(0, 0.5, (2, TOKENS, DIM)).astype("float32") for _ in range(2))
VALUE = rng.normal(size=(2, TOKENS, 5)).astype("float32")


def softmax_attention(query, key, value):
    scores = np.exp(query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]))
    return scores @ value / scores.sum(axis=-1, keepdims=True)


def favor(query, key, value, projection):
    scale = query.shape[-1] ** -0.25
    query = positive_features(scale * query, projection, axis=-1)
    key = positive_features(scale * key, projection, axis=(-2, -1))
    return ops.convert_to_numpy(linear_attention(query, key, value))


def error(projections) -> float:
    """Root of the mean square error over several draws."""
    exact = softmax_attention(QUERY, KEY, VALUE)
    squares = [np.mean((favor(QUERY, KEY, VALUE, p) - exact) ** 2) for p in projections]
    return float(np.sqrt(np.mean(squares)))


def test_error_falls_with_the_number_of_features():
    """As one over its root, which is what an estimate by samples can do."""
    errors = [
        error([orthogonal_gaussian(features, DIM, seed) for seed in range(10)])
        for features in (16, 64, 256, 1024)
    ]
    for more, fewer in zip(errors[1:], errors, strict=False):
        assert more < 0.65 * fewer
    assert errors[-1] < 0.03


def test_orthogonal_vectors_estimate_better():
    """Theorem 2, where there are no more vectors than dimensions."""
    independent = np.random.default_rng(1).normal(size=(60, DIM, DIM)).astype("float32")
    orthogonal = [orthogonal_gaussian(DIM, DIM, seed) for seed in range(60)]
    assert error(orthogonal) < 0.95 * error(independent)


def test_vectors_are_orthogonal_in_groups_and_as_long_as_normal_ones():
    found = orthogonal_gaussian(40, 16, seed=3)
    assert (found.shape, found.dtype) == ((40, 16), "float32")
    for start in (0, 16, 32):
        products = found[start : start + 16] @ found[start : start + 16].T
        np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-4)
    many = np.concatenate([orthogonal_gaussian(16, 16, seed) for seed in range(500)])
    assert np.mean(many**2) == pytest.approx(1, abs=0.02)
    assert np.mean(many**4) == pytest.approx(3, abs=0.1)  # As a normal variable.
    assert abs(np.mean(many)) < 0.02


def test_the_seed_decides():
    np.testing.assert_array_equal(orthogonal_gaussian(8, 4, 1), orthogonal_gaussian(8, 4, 1))
    assert np.any(orthogonal_gaussian(8, 4, 1) != orthogonal_gaussian(8, 4, 2))


@pytest.mark.parametrize("size", [0.0, 30.0])
def test_attention_of_extreme_scores_is_a_mean(size):
    """Positive weights: no answer lies outside of the values, and none is NaN."""
    found = favor(size * QUERY, size * KEY, VALUE, orthogonal_gaussian(64, DIM))
    assert np.all(np.isfinite(found))
    assert np.all(found <= VALUE.max(axis=1, keepdims=True) + 1e-4)
    assert np.all(found >= VALUE.min(axis=1, keepdims=True) - 1e-4)
    if size == 0:  # All scores are alike.
        np.testing.assert_allclose(
            found, np.broadcast_to(VALUE.mean(1)[:, None], found.shape), atol=1e-5
        )
