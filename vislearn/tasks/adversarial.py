"""Generative adversarial networks: noise to pictures."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from vislearn.tasks.base import NOISE, PICTURE, Input, Signature, Task, normal_noise


@dataclasses.dataclass(frozen=True)
class Adversarial(Task):
    """What a generator learns from and answers.

    Neither loss tells how good its pictures are, as each is measured against an opponent that
    learns; so the last epoch counts.
    """

    name: ClassVar[str] = "generation"
    metric: ClassVar[str | None] = None
    takes_images: ClassVar[bool] = False

    def num_classes(self, published: int) -> int:
        del published
        return 0

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return example["images"], None

    def trainer(self, network, recipe, steps: int, seed: int = 0):
        """The compiled trainer of the generator and of a discriminator of its widths.

        Args:
            network: The generator.
            recipe: How both are trained. `recipe.objective` holds `loss`, `discriminator_steps` and
                `gradient_penalty` (see `AdversarialTrainer`), and `discriminator_rate`, the
                discriminator's learning rate as a multiple of the generator's (Heusel et al. 2017,
                arXiv:1706.08500).
            steps: Steps of the whole training.
            seed: Seed of the noise.

        Raises:
            ValueError: If an option is unknown or out of range.
        """
        from vislearn.models.generative.gan import opponent
        from vislearn.training.adversarial import AdversarialTrainer
        from vislearn.training.recipes import build_optimizer

        options = {"discriminator_rate": 1.0, **recipe.objective}
        known = {"discriminator_rate", "discriminator_steps", "gradient_penalty", "loss"}
        if unknown := sorted(options.keys() - known):
            raise ValueError(f"objective has no options {unknown}; it has {sorted(known)}.")
        factor = options.pop("discriminator_rate")
        trainer = AdversarialTrainer(network, opponent(network), seed=seed, **options)
        # Only the generator's weights are worth averaging: the discriminator is not kept.
        other = dataclasses.replace(recipe, ema=0.0, learning_rate=factor * recipe.learning_rate)
        updates = steps * trainer.discriminator_steps
        trainer.compile(
            {
                "discriminator": build_optimizer(other, updates, trainer.discriminator),
                "generator": build_optimizer(recipe, steps, network),
            }
        )
        return trainer

    def signatures(self, network) -> tuple[Signature, ...]:
        """The generator, from noise to pictures."""
        from vislearn.models.generative.gan import sample

        def generate(inputs):
            return {"image": sample(network, inputs["noise"])}

        shape = tuple(network.input_shape[1:])
        noise = Input("noise", shape, "float32", NOISE, normal_noise(shape))
        return (Signature("generator", (noise,), generate, network, {"image": PICTURE}, "image"),)

    def check_model(self, network) -> None:
        if len(network.input_shape) != 2 or len(network.output_shape) != 4:
            raise ValueError(
                "model must be a generator, from noise (batch, latent) to pictures (batch, height, "
                f"width, channels), and goes from {network.input_shape} to {network.output_shape}."
            )

    def samples(self, network, count: int, seed: int = 0) -> np.ndarray:
        from keras import ops

        from vislearn.models.generative.gan import sample

        noise = normal_noise(network.input_shape[1:])(count, seed)
        return ops.convert_to_numpy(sample(network, noise))
