"""Diffusion models: noise to pictures, step by step."""

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np

from vislearn.tasks.base import (
    NOISE,
    PICTURE,
    Input,
    Meaning,
    Signature,
    Task,
    normal_noise,
    with_options,
)

_BATCH = 100  # pictures that are drawn at a time


@dataclasses.dataclass(frozen=True)
class Diffusion(Task):
    """What a diffusion model learns from and answers.

    Attributes:
        schedule: Schedule of the noise, `"linear"` or `"cosine"`, in training and in sampling.
        train_steps: Number of times that it has.
        steps: Steps of the DDIM sampler that is exported and draws samples.
        guidance: Weight of classifier-free guidance in that sampler, for a network with classes.
    """

    schedule: str = "linear"
    train_steps: int = 1000
    steps: int = 50
    guidance: float = 0.0

    name: ClassVar[str] = "generation"
    # The error of the noise hardly tells how good the pictures are: the last epoch counts.
    metric: ClassVar[str | None] = None
    takes_images: ClassVar[bool] = False

    def num_classes(self, published: int) -> int:
        """None for a network that is published without condition, else the data's.

        Raises:
            ValueError: If the network has a condition and the data no classes.
        """
        if published and not self.classes:
            raise ValueError("classes=(): the network learns classes, and the data has none.")
        return len(self.classes) if published else 0

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return {key: example[key] for key in ("images", "labels") if key in example}, None

    def objective(self, network, recipe):
        """The error of the predicted noise; `recipe.objective` may hold `label_dropout`."""
        from vislearn.training.diffusion import NoiseObjective

        del network
        noise = {"schedule": self.schedule, "train_steps": self.train_steps}
        return with_options(NoiseObjective, recipe.objective, **noise)

    @functools.lru_cache(maxsize=1)  # noqa: B019 (one network: it is compiled once for all epochs)
    def loop(self, network):
        """The DDIM sampler of this task, see `vislearn.samplers.SamplingLoop`."""
        from vislearn.samplers import DDIM, SamplingLoop, takes_labels

        guidance = self.guidance if takes_labels(network) else 0.0
        sampler = DDIM(self.schedule, self.train_steps)
        return SamplingLoop(network, sampler, self.steps, guidance=guidance)

    def signatures(self, network) -> tuple[Signature, ...]:
        """The whole sampler, from noise to pictures, and a single pass of the network."""
        from keras import ops

        from vislearn.samplers import null_label, takes_labels, to_pixels

        loop = self.loop(network)
        shape = tuple(network.output_shape[1:])

        def sampler(inputs):
            return {"image": to_pixels(loop.run(inputs["noise"], inputs.get("label")))}

        def denoise(inputs):
            time = ops.cast(inputs["time"], "float32")
            return {"noise": network({**inputs, "time": time}, training=False)}

        labels = ()
        if takes_labels(network):
            null = null_label(network)
            meaning = Meaning(f"class number; {null} for any class", (0, null), "class number")
            labels = (Input("label", (), "int32", meaning, _integers(0, null)),)
        noise = Input("noise", shape, "float32", NOISE, normal_noise(shape))
        meaning = Meaning(
            "noisy picture, about -1..1", unit="pixel level, scaled to -1..1, with noise"
        )
        image = Input("image", shape, "float32", meaning, normal_noise(shape))
        last = self.train_steps
        meaning = Meaning(f"how noisy: 1 to {last}", (1, last), "step of the noise schedule")
        time = Input("time", (), "int32", meaning, _integers(1, last))
        found = "the noise in the picture, in units of its standard deviation"
        return (
            Signature("sampler", (noise, *labels), sampler, network, {"image": PICTURE}, "image"),
            Signature(
                "denoise",
                (image, time, *labels),
                denoise,
                network,
                {"noise": Meaning(found, unit=NOISE.unit)},
            ),
        )

    def check_model(self, network) -> None:
        names = sorted(tensor.name for tensor in network.inputs)
        if names not in (["image", "time"], ["image", "label", "time"]):
            raise ValueError(
                f"model must take image, time and, with classes, label, as `ddpm` does; it takes "
                f"{names}."
            )

    def samples(self, network, count: int, seed: int = 0) -> np.ndarray:
        """Pictures from noise; with classes, one after the other of each."""
        from keras import ops

        from vislearn.samplers import null_label, starting_noise, takes_labels, to_pixels

        labels = np.arange(count) % null_label(network) if takes_labels(network) else None
        noise, loop, made = starting_noise(network, count, seed), self.loop(network), []
        for start in range(0, count, _BATCH):
            part = slice(start, start + _BATCH)
            made.append(loop(noise[part], None if labels is None else labels[part]))
        return ops.convert_to_numpy(to_pixels(np.concatenate(made)))


def _integers(low: int, high: int):
    """From a count and a seed to integers `(count,)` from `low` up to and including `high`."""

    def draw(count: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(low, high + 1, count, dtype=np.int32)

    return draw
