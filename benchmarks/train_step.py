"""Training speed, side by side: our networks against what a user would pick instead.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --models resnet20_cifar --batch-size 128 --json speed.json

A pair of networks trains on the same random images. The two take turns, a round of steps each, so
that whatever else the machine does slows both alike; the ratio is taken within each round. Keras
networks take their steps by `train_on_batch`: the compiled train step that `fit` uses, without the
input pipeline, which is the same for both and none of this benchmark's business.

Runs on whichever backend KERAS_BACKEND names; the fused batch normalisation is TensorFlow's.
"""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

CLASSES = 10
KERAS_LAYER = "Keras batch norm"
APPLICATIONS = "keras.applications"
SIZES = {"resnet50": 64, "resnet20_cifar": 32}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What both networks of a pair have in common."""

    batch_size: int
    size: int
    precision: str
    steps: int
    rounds: int


@dataclasses.dataclass(frozen=True)
class Result:
    """Images per second of the two networks, round by round."""

    model: str
    against: str
    settings: Settings
    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]


@contextlib.contextmanager
def keras_batch_normalization() -> Iterator[None]:
    """Builds the residual networks inside with Keras's own layer."""
    import keras

    from vislearn.models.classification import resnet

    ours = resnet.BatchNormalization
    resnet.BatchNormalization = keras.layers.BatchNormalization
    try:
        yield
    finally:
        resnet.BatchNormalization = ours


def keras_step(build: Callable, settings: Settings) -> Callable[[], None]:
    """A function that takes one training step of the network that `build` returns."""
    import keras

    from vislearn import backend

    with backend.precision(settings.precision):
        model = build()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = batch(settings)
    images, labels = keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(labels)
    # The loss comes back as a number, so that the step is over when the call is.
    return lambda: model.train_on_batch(images, labels)


def batch(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels `(batch, size, size, 3)` and classes `(batch,)`."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (settings.batch_size, settings.size, settings.size, 3))
    return images.astype("float32"), rng.integers(0, CLASSES, settings.batch_size)


def ours(name: str, settings: Settings) -> Callable[[], None]:
    """A step of our network."""
    import vislearn

    shape = (settings.size, settings.size, 3)
    return keras_step(
        lambda: vislearn.create_model(name, input_shape=shape, num_classes=CLASSES), settings
    )


def theirs(name: str, against: str, settings: Settings) -> Callable[[], None]:
    """A step of what our network is compared with."""
    import keras

    if against == KERAS_LAYER:
        with keras_batch_normalization():
            return ours(name, settings)
    return keras_step(
        lambda: keras.applications.ResNet50(
            weights=None,
            input_shape=(settings.size, settings.size, 3),
            classes=CLASSES,
            classifier_activation=None,
        ),
        settings,
    )


def timed(step: Callable[[], None], settings: Settings) -> float:
    """Images per second over one round."""
    started = time.perf_counter()
    for _ in range(settings.steps):
        step()
    return settings.steps * settings.batch_size / (time.perf_counter() - started)


def compare(name: str, against: str, settings: Settings) -> Result:
    """Trains the two in turn; every other round the other one goes first."""
    pair = [ours(name, settings), theirs(name, against, settings)]
    for step in pair:
        for _ in range(3):  # compiles, and lets caches and clocks settle
            step()
    speeds = ([], [])
    for number in range(settings.rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            speeds[which].append(timed(pair[which], settings))
    return Result(name, against, settings, *speeds)


def opponents(name: str) -> list[str]:
    """What a network is compared with: as far as there is one of the same architecture."""
    return [KERAS_LAYER, *([APPLICATIONS] if name == "resnet50" else [])]


def spread(values: list[float], form: str = "{:.0f}") -> str:
    """`median (lowest-highest)`."""
    figures = (statistics.median(values), min(values), max(values))
    return "{} ({}-{})".format(*(form.format(figure) for figure in figures))


def table(results: list[Result]):
    """The results as a rich table."""
    from rich.table import Table

    found = Table("model", "px", "against", title="Training, images/s: median (lowest-highest)")
    for column in ("ours", "theirs", "ours / theirs"):
        found.add_column(column, justify="right", no_wrap=True)
    for result in results:
        found.add_row(
            result.model,
            str(result.settings.size),
            result.against,
            spread(result.ours),
            spread(result.theirs),
            spread(result.ratios, "{:.2f}"),
        )
    return found


def to_json(results: list[Result], machine: str) -> str:
    packages = ("vislearn", "keras", "tensorflow", "jax")
    versions = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    rows = [
        {
            **dataclasses.asdict(result),
            "median_ours": statistics.median(result.ours),
            "median_theirs": statistics.median(result.theirs),
            "median_ratio": statistics.median(result.ratios),
        }
        for result in results
    ]
    document = {"unit": "images/s", "machine": machine, "versions": versions, "results": rows}
    return json.dumps(document, indent=2) + "\n"


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Training speed of our networks against the same networks with Keras's batch "
        "normalisation and keras.applications, in turns."
    )
    add = parser.add_argument
    add("--models", nargs="+", choices=sorted(SIZES), default=sorted(SIZES), help="default: all")
    add("--size", type=positive, help="side of the images in pixels; default: 64, for cifar 32")
    add("--batch-size", type=positive, default=32, help="images a step; default: %(default)s")
    add("--steps", type=positive, default=5, help="steps a round; default: %(default)s")
    add("--rounds", type=positive, default=7, help="rounds of each; default: %(default)s")
    add(
        "--precision",
        choices=("float32", "mixed_bfloat16"),
        default="float32",
        help="default: %(default)s",
    )
    add("--json", type=Path, metavar="FILE", help="also write all figures, round by round")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    from rich.console import Console

    from vislearn import backend

    console = Console()
    machine = backend.describe()
    console.print(f"{machine}, {options.precision}, batch {options.batch_size}", highlight=False)
    results = []
    for name in options.models:
        settings = Settings(
            batch_size=options.batch_size,
            size=options.size or SIZES[name],
            precision=options.precision,
            steps=options.steps,
            rounds=options.rounds,
        )
        for against in opponents(name):
            console.print(f"{name} against {against} ...")
            results.append(compare(name, against, settings))
    console.print(table(results))
    if options.json is not None:
        options.json.write_text(to_json(results, machine))


if __name__ == "__main__":
    main()
