"""From noise to pictures: samplers of diffusion models, and the loop that runs one.

A network predicts noise, a sampler knows how to take a step with it, and `SamplingLoop` compiles
both into one graph. None of them knows how the network was trained, but for the schedule.
"""

import abc
import dataclasses
import itertools
from typing import ClassVar

import numpy as np
from keras import ops

from vislearn import backend
from vislearn.ops import diffusion


@dataclasses.dataclass(frozen=True)
class Sampler(abc.ABC):
    """What all samplers share: the times they visit.

    Attributes:
        schedule: Schedule that the network was trained on: `"linear"` or `"cosine"`.
        train_steps: T, the number of times of that schedule.
        clip: Whether each prediction of the clean picture is clipped to -1..1.

    Raises:
        ValueError: If the schedule is unknown or `train_steps` is no positive integer.
    """

    schedule: str = "linear"
    train_steps: int = 1000
    clip: bool = True

    # Whether a step adds fresh noise.
    draws: ClassVar[bool] = True

    def __post_init__(self):
        self.alpha_bar()  # Says what is wrong with the schedule.

    def alpha_bar(self) -> np.ndarray:
        """The schedule, `(train_steps + 1,)` float32."""
        return diffusion.schedule_table(self.schedule, self.train_steps).astype("float32")

    def timesteps(self, steps: int) -> np.ndarray:
        """The times that `steps` steps visit, evenly spread from T down to 0.

        Returns:
            `(steps + 1,)` int32: step i goes from time i to time i + 1 of it.

        Raises:
            ValueError: If there are not 1 to T steps.
        """
        if not isinstance(steps, int) or not 1 <= steps <= self.train_steps:
            raise ValueError(f"steps={steps!r} must be an integer from 1 to {self.train_steps}.")
        return np.linspace(self.train_steps, 0, steps + 1).round().astype("int32")

    def step(self, noise_prediction, t, s, x, noise):
        """One step back, from time t to an earlier time s.

        Args:
            noise_prediction: What the network says of `x` at time t.
            t, s: Integer scalars, t > s >= 0.
            x: `(batch, height, width, channels)`.
            noise: Standard normal, of the same shape; ignored where the sampler draws none.

        Returns:
            The picture at time s.
        """
        table = ops.convert_to_tensor(self.alpha_bar())
        alpha_bar, alpha_bar_s = ops.take(table, t), ops.take(table, s)
        x_0 = diffusion.predict_x_0(x, noise_prediction, alpha_bar)
        if self.clip:
            x_0 = ops.clip(x_0, -1.0, 1.0)
        return self.move(x_0, x, alpha_bar, alpha_bar_s, noise)

    @abc.abstractmethod
    def move(self, x_0, x_t, alpha_bar, alpha_bar_s, noise):
        """x_s from the prediction of the clean picture and x_t."""


@dataclasses.dataclass(frozen=True)
class DDPM(Sampler):
    """Ancestral sampling (arXiv:2006.11239, Algorithm 2).

    Attributes:
        variance: `"small"`, the posterior's, or `"large"`, beta; the paper found them alike.

    Raises:
        ValueError: As for `Sampler`, or if the variance is neither.
    """

    variance: str = "small"

    def __post_init__(self):
        super().__post_init__()
        if self.variance not in ("small", "large"):
            raise ValueError(f"variance={self.variance!r} must be 'small' or 'large'.")

    def move(self, x_0, x_t, alpha_bar, alpha_bar_s, noise):
        mean = diffusion.posterior_mean(x_0, x_t, alpha_bar, alpha_bar_s)
        if self.variance == "small":
            variance = diffusion.posterior_variance(alpha_bar, alpha_bar_s)
        else:
            variance = diffusion.beta(alpha_bar, alpha_bar_s)
            # The last step adds no noise; alpha_bar_s is 1 there and nowhere else.
            variance = ops.where(alpha_bar_s < 1.0, variance, 0.0)
        return mean + ops.sqrt(variance) * noise


@dataclasses.dataclass(frozen=True)
class DDIM(Sampler):
    """Implicit sampling (arXiv:2010.02502), good in far fewer steps.

    Attributes:
        eta: 0 for the deterministic sampler, 1 for as much noise as DDPM's.

    Raises:
        ValueError: As for `Sampler`, or if `eta` is not in 0..1.
    """

    eta: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta={self.eta!r} must be between 0 and 1.")

    @property
    def draws(self) -> bool:
        return self.eta > 0

    def move(self, x_0, x_t, alpha_bar, alpha_bar_s, noise):
        # Derived anew, so that it fits the clipped picture.
        predicted = diffusion.predict_noise(x_t, x_0, alpha_bar)
        sigma = diffusion.ddim_sigma(alpha_bar, alpha_bar_s, self.eta)
        return diffusion.ddim_step(x_0, predicted, alpha_bar_s, sigma, noise)


class SamplingLoop:
    """The whole way from noise to pictures as one compiled graph, made once and called often.

    Args:
        network: From `{"image", "time"}` and, with classes, `"label"` to the noise.
        sampler: How a step is taken.
        steps: Number of steps.
        guidance: Weight w of classifier-free guidance, at least 0; 0 takes the condition alone.
            With guidance each step costs two passes of the network.

    Raises:
        ValueError: If an argument is out of range, or guidance is asked of a network that takes
            no labels.
    """

    def __init__(self, network, sampler: Sampler, steps: int, *, guidance: float = 0.0):
        self.network = network
        self.sampler = sampler
        self.times = sampler.timesteps(steps)
        self.guidance = guidance
        self.conditional = takes_labels(network)
        if guidance < 0:
            raise ValueError(f"guidance={guidance!r} must be at least 0.")
        if guidance and not self.conditional:
            raise ValueError(f"guidance={guidance!r}: {network.name} takes no labels.")
        self._compiled = backend.compiled(self.run, network)

    @property
    def steps(self) -> int:
        return len(self.times) - 1

    def predict(self, x, t, labels=None):
        """The noise in `x` at the scalar time `t`, guided towards the labels."""
        if self.guidance:
            nobody = ops.full_like(labels, null_label(self.network))
            x, labels = ops.concatenate([x, x]), ops.concatenate([labels, nobody])  # (2 * batch,)
        time = ops.broadcast_to(ops.cast(t, "float32"), ops.shape(x)[:1])
        inputs = {"image": x, "time": time}
        if self.conditional:
            inputs["label"] = labels
        noise = self.network(inputs, training=False)
        if self.guidance:
            noise = diffusion.guided_noise(*ops.split(noise, 2), self.guidance)
        return noise

    def run(self, x, labels=None, seed=None, start=0, stop=None):
        """The steps from `start` up to `stop`, not compiled: for a graph of one's own.

        Args:
            x: `(batch, height, width, channels)` at the time of step `start`.
            labels: `(batch,)` integers where the network takes them.
            seed: Integer scalar for the noise that the steps add; a sampler without any needs none.
            start, stop: Integer scalars; None for the last step.

        Returns:
            The picture after step `stop - 1`.
        """
        times = ops.convert_to_tensor(self.times)

        def step(index, x):
            t, s = ops.take(times, index), ops.take(times, index + 1)
            noise = 0.0
            if self.sampler.draws:
                noise = backend.stateless_normal(ops.shape(x), seed, index)
            return self.sampler.step(self.predict(x, t, labels), t, s, x, noise)

        return ops.fori_loop(start, self.steps if stop is None else stop, step, x)

    def __call__(self, x, labels=None, *, seed: int = 0, progress: bool = False):
        """Turns noise into pictures.

        Args:
            x: `(batch, height, width, channels)`, standard normal.
            labels: `(batch,)` integers where the network takes them.
            seed: Seed of the noise that the steps add.
            progress: Shows a bar; the graph then runs a twentieth of the steps at a time.

        Returns:
            `(batch, height, width, channels)` NumPy float32, about -1..1.

        Raises:
            ValueError: If labels are missing or not wanted, or of the wrong number.
        """
        x = ops.convert_to_tensor(x, "float32")
        labels = self._checked_labels(labels, x.shape[0])
        stops = np.linspace(0, self.steps, 1 + (min(20, self.steps) if progress else 1)).astype(int)
        chunks = list(itertools.pairwise(stops))
        for start, stop in _tracked(chunks) if progress else chunks:
            scalars = (ops.convert_to_tensor(value, "int32") for value in (seed, start, stop))
            x = self._compiled(x, labels, *scalars)
        return ops.convert_to_numpy(x)

    def _checked_labels(self, labels, count: int):
        if self.conditional != (labels is not None):
            rule = "needs a label for each picture" if self.conditional else "takes no labels"
            raise ValueError(f"labels={labels!r}: {self.network.name} {rule}.")
        if labels is None:
            return None
        labels = np.asarray(labels)
        highest = null_label(self.network)
        if labels.shape != (count,) or labels.min() < 0 or labels.max() > highest:
            raise ValueError(
                f"labels must be {count} integers from 0 to {highest} ({highest} for any class)."
            )
        return ops.convert_to_tensor(labels.astype("int32"))


def takes_labels(network) -> bool:
    """Whether a diffusion model has classes."""
    return "label" in {tensor.name for tensor in network.inputs}


def null_label(network) -> int:
    """The label that stands for any class: the last row of the network's label embedding."""
    return network.get_layer("label_embedding").input_dim - 1


def _tracked(chunks: list):
    from rich.progress import track

    return track(chunks, description="Sampling")


def starting_noise(network, count: int, seed: int = 0) -> np.ndarray:
    """Standard normal `(count, height, width, channels)` for a network, the same on any backend."""
    shape = next(tensor.shape for tensor in network.inputs if tensor.name == "image")
    return np.random.default_rng(seed).standard_normal((count, *shape[1:]), "float32")


def sample(
    network,
    count: int,
    *,
    steps: int = 50,
    sampler: Sampler | None = None,
    seed: int = 0,
    labels=None,
    guidance: float = 0.0,
    batch_size: int = 64,
    progress: bool = False,
) -> np.ndarray:
    """Draws pictures from a trained network.

    Args:
        network: A diffusion model, see `SamplingLoop`, which does this repeatedly without
            compiling again.
        count: Number of pictures.
        steps: Number of steps.
        sampler: `DDIM()` unless given.
        seed: Seed of the noise.
        labels: `(count,)` class numbers for a network with classes.
        guidance: Weight of classifier-free guidance.
        batch_size: Pictures at a time.
        progress: Shows a bar for each batch.

    Returns:
        `(count, height, width, channels)` float32, about -1..1.

    Raises:
        ValueError: If an argument is out of range.
    """
    for argument, value in (("count", count), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{argument}={value!r} must be at least 1.")
    loop = SamplingLoop(network, DDIM() if sampler is None else sampler, steps, guidance=guidance)
    noise = starting_noise(network, count, seed)
    pictures = []
    for number, start in enumerate(range(0, count, batch_size)):
        part = slice(start, start + batch_size)
        chosen = None if labels is None else np.asarray(labels)[part]
        # Another seed for each batch, or all would draw the same noise on the way.
        pictures.append(loop(noise[part], chosen, seed=seed + number, progress=progress))
    return np.concatenate(pictures)


def to_pixels(x):
    """From pictures in -1..1 to a uint8 tensor; what lies beyond is clipped."""
    x = ops.clip(ops.cast(x, "float32"), -1.0, 1.0)
    return ops.cast(ops.round((x + 1.0) * 127.5), "uint8")
