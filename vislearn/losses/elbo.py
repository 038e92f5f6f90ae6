"""The evidence lower bound (Kingma and Welling 2014, arXiv:1312.6114).

    ELBO = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z))                              (equation 3)

Both terms are in nats a picture: summed over pixels or latent variables, not averaged, or the
balance between them would depend on the size of the picture.
"""

import math

from keras import ops


def _sum(x):
    """`(batch, ...)` to `(batch,)`."""
    return ops.sum(ops.reshape(x, (ops.shape(x)[0], -1)), axis=-1)


def bernoulli_log_likelihood(x, logits):
    """log p(x|z) where each pixel is a coin (appendix C.1, equation 11).

    Pixels between 0 and 1 count as probabilities themselves, which is no likelihood of a density
    but has its maximum where mean and pixel agree.

    Args:
        x: `(batch, ...)`, 0 to 1.
        logits: The same shape; their sigmoid is the mean.

    Returns:
        `(batch,)`, float32.
    """
    x, logits = ops.cast(x, "float32"), ops.cast(logits, "float32")
    # x log s(l) + (1 - x) log(1 - s(l)), without a logarithm of a rounded 0.
    return _sum(x * logits - ops.softplus(logits))


def gaussian_log_likelihood(x, logits, deviation: float):
    """log p(x|z) where each pixel is Gaussian around its mean (appendix C.2), of one deviation.

    Args:
        x: `(batch, ...)`, 0 to 1.
        logits: The same shape; their sigmoid is the mean.
        deviation: Standard deviation in units of 0..1.

    Returns:
        `(batch,)`, float32.
    """
    x, mean = ops.cast(x, "float32"), ops.sigmoid(ops.cast(logits, "float32"))
    constant = math.log(deviation * math.sqrt(2 * math.pi))
    return _sum(-0.5 * ops.square((x - mean) / deviation) - constant)


def gaussian_kl(mean, log_variance):
    """KL(q(z|x) || N(0, 1)) of a diagonal Gaussian (appendix B).

    Args:
        mean, log_variance: `(batch, latent)`.

    Returns:
        `(batch,)`, float32.
    """
    mean, log_variance = ops.cast(mean, "float32"), ops.cast(log_variance, "float32")
    return -0.5 * _sum(1.0 + log_variance - ops.square(mean) - ops.exp(log_variance))
