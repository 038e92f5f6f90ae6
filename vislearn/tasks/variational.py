"""Variational autoencoders: pictures to codes, and codes to pictures."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from vislearn.tasks.base import (
    NOISE,
    PICTURE,
    PIXELS,
    Arrays,
    Input,
    Meaning,
    Signature,
    Task,
    normal_noise,
    with_options,
)

# What the encoder answers.
_CODES = {
    "mean": Meaning("mean of the code", unit=NOISE.unit),
    "log_variance": Meaning(
        "logarithm of the variance of the code", unit="logarithm of squared standard deviations"
    ),
}


@dataclasses.dataclass(frozen=True)
class Variational(Task):
    """What a variational autoencoder learns from, is measured by, and answers.

    It knows no classes: those of the data set are not asked for.
    """

    name: ClassVar[str] = "generation"
    # The loss is the evidence lower bound, with its sign turned.
    metric: ClassVar[str] = "loss"
    metric_mode: ClassVar[str] = "min"

    def num_classes(self, published: int) -> int:
        del published
        return 0

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return example["images"], example["images"]

    def objective(self, network, recipe):
        """The evidence lower bound; `recipe.objective` holds its options, such as `beta`."""
        from vislearn.training.variational import VariationalObjective

        return with_options(VariationalObjective, recipe.objective)

    def meanings(self, network) -> dict[str, Meaning]:
        del network
        seen = "the picture as the network sees it, pixels 0..1"
        return {
            "reconstruction": Meaning(seen, (0, 1), "share of the highest pixel level"),
            **_CODES,
        }

    def decode(self, outputs) -> dict[str, Any]:
        """From the network's outputs to named answers.

        Returns:
            `reconstruction`: `(batch, height, width, channels)`, 0 to 1; `mean` and
            `log_variance`: `(batch, latent)`. All are float32.
        """
        from keras import ops

        logits = ops.cast(outputs["reconstruction"], "float32")
        codes = {name: ops.cast(outputs[name], "float32") for name in ("mean", "log_variance")}
        return {"reconstruction": ops.sigmoid(logits), **codes}

    def signatures(self, network) -> tuple[Signature, ...]:
        """The encoder, from pictures to codes, and the decoder, from codes to pictures."""
        from keras import ops

        from vislearn.models.generative import vae

        encoder, decoder = vae.encoder(network), vae.decoder(network)

        def encode(inputs):
            return encoder(ops.cast(inputs["image"], "float32"), training=False)

        def generate(inputs):
            return {"image": vae.sample(decoder, inputs["latent"])}

        shape, latent = tuple(network.input_shape[1:]), decoder.input_shape[1]
        image = Input("image", shape, "uint8", PIXELS)
        meaning = Meaning("code; standard normal noise", unit=NOISE.unit)
        code = Input("latent", (latent,), "float32", meaning, normal_noise((latent,)))
        return (
            Signature("encoder", (image,), encode, encoder, _CODES),
            Signature("decoder", (code,), generate, decoder, {"image": PICTURE}, "image"),
        )

    def check_model(self, network) -> None:
        outputs, wanted = network.output, sorted(self.meanings(network))
        if not isinstance(outputs, dict) or sorted(outputs) != wanted:
            raise ValueError(
                f"model must answer a dictionary of {wanted}, as `vae` does, and "
                f"answers {outputs!r}."
            )

    def samples(self, network, count: int, seed: int = 0) -> np.ndarray:
        from keras import ops

        from vislearn.models.generative import vae

        decoder = vae.decoder(network)
        noise = normal_noise(decoder.input_shape[1:])(count, seed)
        return ops.convert_to_numpy(vae.sample(decoder, noise))

    def measure(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """How well pictures are reconstructed from the mean of their code.

        Args:
            answers: What `decode` returns, as arrays.
            truth: `images`, `(batch, height, width, channels)`, uint8.

        Returns:
            `reconstruction_psnr`: the peak signal-to-noise ratio in dB, of the mean squared error
            of all pictures; `elbo_at_mean`: the evidence lower bound of the Bernoulli likelihood
            at the mean of the code rather than at a code that is drawn, in nats a picture: a
            little above the bound that the loss estimates.
        """
        if "reconstruction" not in answers:
            raise ValueError("An encoder answers with codes, which nothing is measured on.")
        # In float64, and with room to 0 and 1, where float32 rounds a sigmoid to either.
        target = truth["images"].astype(np.float64) / 255.0
        found = answers["reconstruction"].astype(np.float64)
        error = np.mean(np.square(found - target))
        found = np.clip(found, 1e-7, 1 - 1e-7)
        likelihood = target * np.log(found) + (1 - target) * np.log(1 - found)
        mean, log_variance = (answers[name].astype(np.float64) for name in ("mean", "log_variance"))
        divergence = -0.5 * np.sum(1 + log_variance - mean**2 - np.exp(log_variance), axis=-1)
        return {
            "reconstruction_psnr": float(-10 * np.log10(max(error, 1e-12))),
            "elbo_at_mean": float(np.mean(likelihood.sum(axis=(1, 2, 3)) - divergence)),
        }

    def draw(self, images, answers: Arrays, truth: Arrays | None, titles=None):
        """Each picture above its reconstruction.

        Raises:
            ValueError: If the answers are codes alone, as an exported encoder gives them.
        """
        from vislearn import pictures

        del truth
        if "reconstruction" not in answers:
            raise ValueError("An encoder answers with codes: there is no picture to draw.")
        found = np.round(255 * answers["reconstruction"]).astype(np.uint8)
        columns = min(len(images), 12)
        rows = []
        for start in range(0, len(images), columns):
            for source in (images, found):
                rows += list(source[start : start + columns])
                # The last row may be shorter.
                rows += [np.full_like(source[0], 255)] * (columns - len(source[start:][:columns]))
        return pictures.image_grid(rows, columns=columns)

    def describe(self, answers: Arrays, index: int, top: int = 3) -> list[tuple[str, float]]:
        """The variables of the code that are furthest from 0: what is special about a picture."""
        mean = answers["mean"][index]
        best = np.argsort(-np.abs(mean), kind="stable")[:top]
        return [(f"latent {number}", float(mean[number])) for number in best]
