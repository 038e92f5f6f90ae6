"""The equations of diffusion models, one a function, named as in the papers.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv:2006.11239 (DDPM); Song et al.,
"Denoising Diffusion Implicit Models", arXiv:2010.02502 (DDIM); Nichol and Dhariwal, "Improved
Denoising Diffusion Probabilistic Models", arXiv:2102.09672; Ho and Salimans, "Classifier-Free
Diffusion Guidance", arXiv:2207.12598.

Times are 1 to T and 0 is the clean picture. A schedule is the table of `alpha_bar`, DDPM's product
of all `1 - beta` up to t, which falls from exactly 1 at t = 0 to almost 0 at t = T; everything else
follows from it. `alpha_bar` below is the value at t and `alpha_bar_s` that at an earlier time s,
each a scalar or of a shape that broadcasts against the pictures `(batch, height, width, channels)`.
With s = t - 1 they are the papers' equations as printed; any s < t skips the times between.
"""

import numpy as np
from keras import ops

# Schedules ----------------------------------------------------------------------------------------


def linear_schedule(steps: int = 1000) -> np.ndarray:
    """alpha_bar for beta that rises linearly from 1e-4 to 0.02 (DDPM, section 4).

    The two ends are those of 1000 steps; with fewer, beta grows in proportion, so that the last
    picture is as noisy.

    Returns:
        `(steps + 1,)` float64.
    """
    _check_steps(steps)
    beta = np.linspace(1e-4, 0.02, steps) * (1000 / steps)
    return _from_beta(beta)


def cosine_schedule(steps: int = 1000, offset: float = 0.008) -> np.ndarray:
    """alpha_bar that falls as a squared cosine (Improved DDPM, eq. 17), beta at most 0.999.

    Returns:
        `(steps + 1,)` float64.
    """
    _check_steps(steps)
    f = np.cos((np.arange(steps + 1) / steps + offset) / (1 + offset) * np.pi / 2) ** 2
    return _from_beta(1 - f[1:] / f[:-1])


SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}


def schedule_table(schedule: str, steps: int) -> np.ndarray:
    """The schedule of this name.

    Args:
        schedule: `"linear"` or `"cosine"`.
        steps: T, its number of times.

    Returns:
        `(steps + 1,)` float64, alpha_bar at the times 0 to T.

    Raises:
        ValueError: If the schedule is unknown or `steps` is no positive integer.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} must be one of {sorted(SCHEDULES)}.")
    return SCHEDULES[schedule](steps)


def _from_beta(beta: np.ndarray) -> np.ndarray:
    return np.concatenate([[1.0], np.cumprod(1 - np.minimum(beta, 0.999))])


def _check_steps(steps) -> None:
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps={steps!r} must be a positive integer.")


def at(table, t):
    """The values of a table at the time of each picture.

    Args:
        table: `(T + 1,)`.
        t: `(batch,)` integers.

    Returns:
        `(batch, 1, 1, 1)`, to be broadcast against pictures.
    """
    return ops.reshape(ops.take(table, t, axis=0), (-1, 1, 1, 1))


# The forward process ------------------------------------------------------------------------------


def q_sample(x_0, noise, alpha_bar):
    """The noisy picture x_t (DDPM, eq. 4, written as in eq. 14)."""
    return ops.sqrt(alpha_bar) * x_0 + ops.sqrt(1.0 - alpha_bar) * noise


def predict_x_0(x_t, noise, alpha_bar):
    """The clean picture, given which noise is in the noisy one (DDPM, eq. 15)."""
    return (x_t - ops.sqrt(1.0 - alpha_bar) * noise) / ops.sqrt(alpha_bar)


def predict_noise(x_t, x_0, alpha_bar):
    """The noise in a noisy picture, given the clean one (DDPM, eq. 15 solved for the noise)."""
    return (x_t - ops.sqrt(alpha_bar) * x_0) / ops.sqrt(1.0 - alpha_bar)


# The way back -------------------------------------------------------------------------------------


def posterior_mean(x_0, x_t, alpha_bar, alpha_bar_s):
    """Mean of q(x_s | x_t, x_0) (DDPM, eq. 6 and 7)."""
    alpha = alpha_bar / alpha_bar_s
    of_x_0 = ops.sqrt(alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar)
    of_x_t = ops.sqrt(alpha) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar)
    return of_x_0 * x_0 + of_x_t * x_t


def posterior_variance(alpha_bar, alpha_bar_s):
    """Variance of q(x_s | x_t, x_0), the smaller choice of DDPM's section 3.2 (eq. 7)."""
    return (1.0 - alpha_bar_s) / (1.0 - alpha_bar) * beta(alpha_bar, alpha_bar_s)


def beta(alpha_bar, alpha_bar_s):
    """Variance of q(x_t | x_s), the larger choice of DDPM's section 3.2 (eq. 2)."""
    return 1.0 - alpha_bar / alpha_bar_s


def ddim_sigma(alpha_bar, alpha_bar_s, eta):
    """Deviation of the noise of a DDIM step (DDIM, eq. 16): 0 for eta = 0, DDPM's for eta = 1."""
    return eta * ops.sqrt(posterior_variance(alpha_bar, alpha_bar_s))


def ddim_step(x_0, noise, alpha_bar_s, sigma, new_noise):
    """x_s from the predictions of picture and noise (DDIM, eq. 12)."""
    direction = ops.sqrt(ops.maximum(1.0 - alpha_bar_s - sigma**2, 0.0)) * noise
    return ops.sqrt(alpha_bar_s) * x_0 + direction + sigma * new_noise


def guided_noise(noise, unconditional_noise, guidance):
    """Noise pushed towards the class: w = 0 is the condition alone (guidance paper, eq. 6)."""
    return (1.0 + guidance) * noise - guidance * unconditional_noise
