"""What a variational autoencoder minimises."""

from keras import ops

from vislearn.losses.elbo import (
    bernoulli_log_likelihood,
    gaussian_kl,
    gaussian_log_likelihood,
)

LIKELIHOODS = ("bernoulli", "gaussian")


class VariationalObjective:
    """The evidence lower bound with its sign turned, in nats a picture.

    `-E[log p(x|z)] + beta KL(q(z|x) || p(z))`: arXiv:1312.6114, equation 3, and for another beta
    than 1 equation 4 of beta-VAE, Higgins et al., ICLR 2017. One code a picture is drawn, in
    validation too: at the mean of the code the value would be no bound.

    Args:
        beta: Weight of the divergence.
        likelihood: `"bernoulli"`, or `"gaussian"` around the same mean.
        deviation: Standard deviation of the Gaussian, in units of pixels 0..1.

    Raises:
        ValueError: If an argument is out of range.
    """

    parts = ("reconstruction", "divergence")

    def __init__(
        self, beta: float = 1.0, likelihood: str = "bernoulli", deviation: float = 0.1
    ) -> None:
        if beta < 0:
            raise ValueError(f"beta={beta!r} must be at least 0.")
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood={likelihood!r} must be one of {LIKELIHOODS}.")
        if deviation <= 0:
            raise ValueError(f"deviation={deviation!r} must be positive.")
        self.beta, self.likelihood, self.deviation = beta, likelihood, deviation

    def forward(self, network, x, *, seed_generator, training: bool):
        """The network's outputs for a code that is drawn.

        Args:
            network: A variational autoencoder.
            x: Pictures `(batch, height, width, channels)`, 0..255.
            seed_generator: Not used: the layer `latent` has its own, whose state is the network's.
            training: Not used: of the layers only `latent` behaves otherwise in training.
        """
        del seed_generator, training
        return network(x, training=True)

    def loss(self, y, outputs) -> dict:
        """Both summands: `reconstruction` and `divergence` (times beta), means over the batch.

        Args:
            y: Pictures as `x`.
            outputs: What the network answers.
        """
        pixels, logits = ops.cast(y, "float32") / 255.0, outputs["reconstruction"]
        if self.likelihood == "bernoulli":
            likelihood = bernoulli_log_likelihood(pixels, logits)
        else:
            likelihood = gaussian_log_likelihood(pixels, logits, self.deviation)
        divergence = gaussian_kl(outputs["mean"], outputs["log_variance"])
        return {
            "reconstruction": -ops.mean(likelihood),
            "divergence": self.beta * ops.mean(divergence),
        }
