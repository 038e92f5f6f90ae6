"""The two terms of the evidence lower bound, against their definitions."""

import numpy as np

from vislearn.losses import elbo


def test_bernoulli():
    rng = np.random.default_rng(0)
    x, logits = rng.uniform(size=(3, 4, 5, 2)), rng.normal(size=(3, 4, 5, 2))
    p = 1 / (1 + np.exp(-logits))
    expected = np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=(1, 2, 3))
    np.testing.assert_allclose(elbo.bernoulli_log_likelihood(x, logits), expected, rtol=1e-6)


def test_bernoulli_is_finite_where_the_sigmoid_rounds():
    found = elbo.bernoulli_log_likelihood(np.array([[0.0], [1.0]]), np.array([[200.0], [-200.0]]))
    np.testing.assert_allclose(found, [-200, -200])


def test_gaussian():
    rng = np.random.default_rng(0)
    x, logits, deviation = rng.uniform(size=(3, 6)), rng.normal(size=(3, 6)), 0.2
    mean = 1 / (1 + np.exp(-logits))
    density = np.exp(-((x - mean) ** 2) / (2 * deviation**2)) / (deviation * np.sqrt(2 * np.pi))
    found = elbo.gaussian_log_likelihood(x, logits, deviation)
    np.testing.assert_allclose(found, np.log(density).sum(axis=1), rtol=1e-6)


def test_divergence_is_that_of_samples():
    """The mean of log q(z) - log p(z) over many z from q."""
    rng = np.random.default_rng(0)
    mean, log_variance = np.array([[0.5, -1.0]]), np.array([[-0.7, 0.4]])
    noise = rng.normal(size=(1_000_000, 2))
    z = mean + np.exp(log_variance / 2) * noise
    logs = 0.5 * (z**2 - noise**2 - log_variance)
    found = elbo.gaussian_kl(mean, log_variance)
    assert found.shape == (1,)
    np.testing.assert_allclose(found, [logs.sum(axis=1).mean()], atol=5e-3)
    np.testing.assert_array_equal(elbo.gaussian_kl(np.zeros((2, 3)), np.zeros((2, 3))), [0, 0])
