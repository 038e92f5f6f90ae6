"""What generator and discriminator play for: pairs of losses, each with its paper's equation.

All take logits `(batch, 1)` of the discriminator or critic D, on real pictures x and on pictures
G(z) that the generator made, and return a float32 scalar that is to be minimised.
"""

import dataclasses
from collections.abc import Callable

from keras import ops


def _float(logits):
    return ops.cast(logits, "float32")


def discriminator_cross_entropy(real, fake):
    """-E[log s(D(x))] - E[log(1 - s(D(G(z))))] with the sigmoid s.

    Goodfellow et al., NIPS 2014, arXiv:1406.2661, equation 1, with the sign turned.
    """
    return ops.mean(ops.softplus(-_float(real))) + ops.mean(ops.softplus(_float(fake)))


def minimax(fake):
    """E[log(1 - s(D(G(z))))]: equation 1 of arXiv:1406.2661.

    Its gradient vanishes where the discriminator wins, as it does at first.
    """
    return -ops.mean(ops.softplus(_float(fake)))


def non_saturating(fake):
    """-E[log s(D(G(z)))]: the remedy at the end of section 3 of arXiv:1406.2661."""
    return ops.mean(ops.softplus(-_float(fake)))


def discriminator_least_squares(real, fake):
    """1/2 E[(D(x) - 1)^2] + 1/2 E[D(G(z))^2].

    Mao et al., ICCV 2017, arXiv:1611.04076, equation 9.
    """
    return 0.5 * ops.mean(ops.square(_float(real) - 1.0)) + 0.5 * ops.mean(ops.square(_float(fake)))


def least_squares(fake):
    """1/2 E[(D(G(z)) - 1)^2]: equation 9 of arXiv:1611.04076."""
    return 0.5 * ops.mean(ops.square(_float(fake) - 1.0))


def discriminator_hinge(real, fake):
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))].

    Miyato et al., ICLR 2018, arXiv:1802.05957, equation 16, with the sign turned.
    """
    return ops.mean(ops.relu(1.0 - _float(real))) + ops.mean(ops.relu(1.0 + _float(fake)))


def discriminator_wasserstein(real, fake):
    """E[D(G(z))] - E[D(x)]: the critic of Arjovsky et al., ICML 2017, arXiv:1701.07875, equation 3.

    It bounds a distance only while the critic is Lipschitz: use it with a gradient penalty.
    """
    return ops.mean(_float(fake)) - ops.mean(_float(real))


def wasserstein(fake):
    """-E[D(G(z))]: equation 3 of arXiv:1701.07875, and equation 17 of arXiv:1802.05957 (hinge)."""
    return -ops.mean(_float(fake))


@dataclasses.dataclass(frozen=True)
class AdversarialLoss:
    """One game.

    Attributes:
        discriminator: From logits of real and of generated pictures to a scalar.
        generator: From logits of generated pictures to a scalar.
    """

    discriminator: Callable
    generator: Callable


LOSSES = {
    "minimax": AdversarialLoss(discriminator_cross_entropy, minimax),
    "non_saturating": AdversarialLoss(discriminator_cross_entropy, non_saturating),
    "least_squares": AdversarialLoss(discriminator_least_squares, least_squares),
    "hinge": AdversarialLoss(discriminator_hinge, wasserstein),
    "wasserstein": AdversarialLoss(discriminator_wasserstein, wasserstein),
}


def adversarial_loss(name: str) -> AdversarialLoss:
    """The game of this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in LOSSES:
        raise ValueError(f"loss={name!r} must be one of {sorted(LOSSES)}.")
    return LOSSES[name]
