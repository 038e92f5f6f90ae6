"""Losses of generator and discriminator, against their equations in NumPy."""

import numpy as np
import pytest

from vislearn.losses import adversarial

REAL = np.array([[2.0], [-1.0], [0.3], [-40.0]], "float32")
FAKE = np.array([[-3.0], [0.5], [1.5], [60.0]], "float32")


def log_sigmoid(x):
    return -np.logaddexp(0, -x.astype("float64"))


EXPECTED = {
    "discriminator_cross_entropy": -np.mean(log_sigmoid(REAL)) - np.mean(log_sigmoid(-FAKE)),
    "minimax": np.mean(log_sigmoid(-FAKE)),
    "non_saturating": -np.mean(log_sigmoid(FAKE)),
    "discriminator_least_squares": np.mean((REAL - 1) ** 2) / 2 + np.mean(FAKE**2) / 2,
    "least_squares": np.mean((FAKE - 1) ** 2) / 2,
    "discriminator_hinge": np.mean(np.maximum(0, 1 - REAL)) + np.mean(np.maximum(0, 1 + FAKE)),
    "discriminator_wasserstein": np.mean(FAKE) - np.mean(REAL),
    "wasserstein": -np.mean(FAKE),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_equation(name):
    arguments = (REAL, FAKE) if name.startswith("discriminator") else (FAKE,)
    found = getattr(adversarial, name)(*arguments)
    np.testing.assert_allclose(float(found), EXPECTED[name], rtol=1e-6)


def test_pairs():
    """Every loss belongs to a game, and the pairs are those of the papers."""
    pairs = {
        name: (game.discriminator.__name__, game.generator.__name__)
        for name, game in adversarial.LOSSES.items()
    }
    assert pairs == {
        "minimax": ("discriminator_cross_entropy", "minimax"),
        "non_saturating": ("discriminator_cross_entropy", "non_saturating"),
        "least_squares": ("discriminator_least_squares", "least_squares"),
        "hinge": ("discriminator_hinge", "wasserstein"),
        "wasserstein": ("discriminator_wasserstein", "wasserstein"),
    }


def test_unknown_game():
    with pytest.raises(ValueError, match="loss='chess' must be one of"):
        adversarial.adversarial_loss("chess")
