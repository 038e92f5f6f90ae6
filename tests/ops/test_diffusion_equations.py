"""The equations of diffusion models, against NumPy and against each other."""

import numpy as np
import pytest
from keras import ops

from vislearn.ops import diffusion

RNG = np.random.default_rng(0)
X_0, X_T, NOISE, OTHER = RNG.normal(size=(4, 2, 3, 3, 1)).astype("float32")
# alpha_bar at t and at an earlier s.
A, A_S = 0.3, 0.7


def same(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-4, atol=tolerance)


def test_linear_schedule_is_the_papers():
    betas = np.linspace(1e-4, 0.02, 1000)
    table = diffusion.linear_schedule()
    assert table.shape == (1001,)
    assert table[0] == 1
    assert table[1] == pytest.approx(1 - 1e-4)
    assert table[1000] == pytest.approx(np.prod(1 - betas))
    assert table[1000] == pytest.approx(4.0358e-5, rel=1e-4)  # the value of the published code


def test_cosine_schedule_is_the_papers():
    table = diffusion.cosine_schedule()
    t = np.array([1, 250, 500, 900])
    f = np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(table[t], f / np.cos(0.008 / 1.008 * np.pi / 2) ** 2, rtol=1e-9)
    assert table[1000] == pytest.approx(table[999] * 0.001), "the last beta is 0.999"


@pytest.mark.parametrize("name", sorted(diffusion.SCHEDULES))
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_schedules_fall_from_the_picture_to_noise(name, steps):
    table = diffusion.SCHEDULES[name](steps)
    assert table.shape == (steps + 1,)
    assert table[0] == 1
    assert np.all(np.diff(table) < 0)
    assert 0 < table[-1] < 1e-3


@pytest.mark.parametrize("steps", [0, -1, 2.0, True])
def test_schedules_refuse_what_is_no_number_of_steps(steps):
    with pytest.raises(ValueError, match=f"steps={steps}"):
        diffusion.linear_schedule(steps)


def test_at_takes_the_value_of_each_picture():
    found = diffusion.at(ops.convert_to_tensor([0.1, 0.2, 0.3]), ops.convert_to_tensor([2, 0]))
    assert tuple(found.shape) == (2, 1, 1, 1)
    same(found[:, 0, 0, 0], [0.3, 0.1])


def test_q_sample_is_one_step_after_the_other():
    same(diffusion.q_sample(X_0, NOISE, A), np.sqrt(0.3) * X_0 + np.sqrt(0.7) * NOISE)
    # Two steps of equation 2 leave the mean and the variance of one jump of equation 4.
    beta_1, beta_2 = 0.1, 0.25
    alpha_bar = (1 - beta_1) * (1 - beta_2)
    same(diffusion.q_sample(1.0, 0.0, alpha_bar), np.sqrt(1 - beta_2) * np.sqrt(1 - beta_1))
    variance = (1 - beta_2) * beta_1 + beta_2
    same(diffusion.q_sample(0.0, 1.0, alpha_bar) ** 2, variance)


def test_predictions_undo_the_noise():
    x_t = diffusion.q_sample(X_0, NOISE, A)
    same(diffusion.predict_x_0(x_t, NOISE, A), X_0)
    same(diffusion.predict_noise(x_t, X_0, A), NOISE)


def test_posterior_is_bayes_rule():
    """q(x_s | x_t, x_0) is the product of two normal densities of x_s, up to a factor."""
    mean_prior, variance_prior = np.sqrt(A_S) * X_0, 1 - A_S
    alpha = A / A_S
    # x_t = sqrt(alpha) x_s + noise, as a normal density of x_s.
    mean_evidence, variance_evidence = X_T / np.sqrt(alpha), (1 - alpha) / alpha
    precision = 1 / variance_prior + 1 / variance_evidence
    mean = (mean_prior / variance_prior + mean_evidence / variance_evidence) / precision
    same(diffusion.posterior_variance(A, A_S), 1 / precision)
    same(diffusion.posterior_mean(X_0, X_T, A, A_S), mean)
    same(diffusion.beta(A, A_S), 1 - alpha)


def test_posterior_mean_is_equation_11_of_the_noise():
    alpha = A / A_S
    x_0 = diffusion.predict_x_0(X_T, NOISE, A)
    expected = (X_T - (1 - alpha) / np.sqrt(1 - A) * NOISE) / np.sqrt(alpha)
    same(diffusion.posterior_mean(x_0, X_T, A, A_S), expected)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_step_is_equation_12(eta):
    sigma = float(eta * np.sqrt((1 - A_S) / (1 - A)) * np.sqrt(1 - A / A_S))
    same(diffusion.ddim_sigma(A, A_S, eta), sigma)
    predicted = (X_T - np.sqrt(1 - A) * NOISE) / np.sqrt(A)
    expected = np.sqrt(A_S) * predicted + np.sqrt(1 - A_S - sigma**2) * NOISE + sigma * OTHER
    x_0 = diffusion.predict_x_0(X_T, NOISE, A)
    same(diffusion.ddim_step(x_0, NOISE, A_S, sigma, OTHER), expected)


def test_ddim_with_eta_1_is_ddpm():
    sigma = diffusion.ddim_sigma(A, A_S, 1.0)
    x_0 = diffusion.predict_x_0(X_T, NOISE, A)
    ddpm = diffusion.posterior_mean(x_0, X_T, A, A_S) + sigma * OTHER
    same(diffusion.ddim_step(x_0, NOISE, A_S, sigma, OTHER), ops.convert_to_numpy(ddpm))


def test_guidance_goes_beyond_the_condition():
    same(diffusion.guided_noise(NOISE, OTHER, 0.0), NOISE)
    same(diffusion.guided_noise(NOISE, OTHER, 2.0), 3 * NOISE - 2 * OTHER)
