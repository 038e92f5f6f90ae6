"""The contrastive loss, against equation 1 of its paper."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.losses import nt_xent


def equation(first, second, temperature: float) -> float:
    """Equation 1 of arXiv:2002.05709, pair by pair in float64, and its mean."""
    z = np.stack([first, second], axis=1).reshape(-1, first.shape[-1]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(len(z)):
        similar = {k: z[i] @ z[k] / temperature for k in range(len(z)) if k != i}
        top = max(similar.values())
        total = top + np.log(sum(np.exp(value - top) for value in similar.values()))
        losses.append(total - similar[i ^ 1])
    return float(np.mean(losses))


def draw(batch: int, dim: int = 16, scale: float = 1.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(batch, dim))
    second = first + rng.normal(size=(batch, dim))
    return (scale * first).astype("float32"), (scale * second).astype("float32")


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("batch", [2, 3, 17])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_equation_1(batch, temperature, scale):
    first, second = draw(batch, scale=scale)
    found = float(nt_xent(first, second, temperature=temperature))
    assert found == pytest.approx(equation(first, second, temperature), rel=1e-6, abs=1e-6)


def test_the_order_of_the_views_does_not_matter():
    first, second = draw(5)
    assert float(nt_xent(first, second)) == pytest.approx(float(nt_xent(second, first)), rel=1e-6)


def test_corners():
    first, second = draw(6)
    alike = np.ones_like(first)
    assert float(nt_xent(alike, alike)) == pytest.approx(np.log(11), rel=1e-6)
    # One picture alone: its view is certain to be found.
    assert float(nt_xent(first[:1], second[:1])) == pytest.approx(0, abs=1e-6)
    # Views that are the same, of pictures that are as different as can be.
    basis = np.eye(4, dtype="float32")
    found = float(nt_xent(basis, basis, temperature=0.05))
    assert found == pytest.approx(equation(basis, basis, 0.05), abs=1e-6)
    assert found < 1e-7


def test_bfloat16_costs_no_more_than_its_rounding():
    first, second = (ops.cast(views, "bfloat16") for views in draw(32))
    found = nt_xent(first, second, temperature=0.07)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    rounded = [ops.convert_to_numpy(ops.cast(views, "float32")) for views in (first, second)]
    assert float(found) == pytest.approx(equation(*rounded, 0.07), rel=1e-6)


def gradients(first, second):
    """Of the loss, by both projections."""
    both = [keras.Variable(views) for views in (first, second)]
    _, found = backend.value_and_gradients(lambda: nt_xent(*both, temperature=0.1), both, both)
    return [ops.convert_to_numpy(one) for one in found]


def test_gradient():
    first, second = draw(3, dim=4)
    found, step = gradients(first, second), 1e-6
    for which in (0, 1):
        for place in np.ndindex(first.shape):
            moved = [[v.astype(np.float64) for v in (first, second)] for _ in range(2)]
            moved[0][which][place] += step
            moved[1][which][place] -= step
            slope = (equation(*moved[0], 0.1) - equation(*moved[1], 0.1)) / (2 * step)
            assert found[which][place] == pytest.approx(slope, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
def test_gradients_are_finite_at_the_corners(scale):
    first, second = (scale * np.ones((4, 8), "float32") for _ in range(2))
    assert np.isfinite(float(nt_xent(first, second)))
    for found in gradients(first, second):
        assert np.isfinite(found).all()


def test_temperature_is_positive():
    with pytest.raises(ValueError, match="temperature=0 must be positive"):
        nt_xent(*draw(2), temperature=0)
