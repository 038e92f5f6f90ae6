"""What the speed benchmarks share: networks to compare, taking turns, and the table.

The networks of a comparison take turns, a round of steps each, so that whatever else the machine
does slows all alike; the ratio is taken within each round.
"""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vislearn.export.opponents import TIMM, TORCHVISION, Opponent, installed, torch_network

CLASSES = 10
PACKAGES = ("vislearn", "keras", "tensorflow", "jax", "keras-hub", "torch", "torchvision", "timm")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of ours and what a user would pick instead; None where a library has none.

    Attributes:
        size: Side of the images in pixels.
        keras: The function of keras.applications.
        keras_hub: How the names of its classes begin there.
        options: By library, arguments of our builder without which ours is another network at this
            size.
    """

    size: int
    keras: str | None = None
    keras_hub: str | None = None
    options: Mapping[str, Mapping] = dataclasses.field(default_factory=dict)


NETWORKS = {
    "resnet50": Network(64, "ResNet50"),
    "mobilenet_v2": Network(96, "MobileNetV2"),
    "densenet121": Network(64, "DenseNet121"),
    "efficientnet_b0": Network(96, "EfficientNetB0"),
    # torchvision's enlarges 2x2 pixels to 7x7 before the dense layers, the other one's does not.
    "vgg16": Network(64, "VGG16", options={"keras.applications": {"grid": 2, "dropout": 0.0}}),
    "inception_v3": Network(128, "InceptionV3"),
    "convnext_tiny": Network(64, "ConvNeXtTiny"),
    "vit_small_patch16": Network(128, keras_hub="ViT"),
    "swin_tiny": Network(
        224, keras_hub="SwinTransformer", options={"KerasHub": {"drop_path_rate": 0.1}}
    ),
}
# What torchvision and timm call them.
TORCH = {"torchvision": TORCHVISION, "timm": TIMM}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all networks of a comparison have in common."""

    batch_size: int
    size: int
    precision: str
    steps: int
    rounds: int


@dataclasses.dataclass(frozen=True)
class Result:
    """Images per second of ours and of another network, round by round.

    Attributes:
        model: Our registry name.
        against: The library of the other.
        settings: What both have in common.
        ours, theirs: Images per second.
        multiply_adds: Of one step of ours for one image.
    """

    model: str
    against: str
    settings: Settings
    ours: list[float]
    theirs: list[float]
    multiply_adds: float

    @property
    def ratios(self) -> list[float]:
        """Ours in units of theirs."""
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]

    def utilisation(self, peak: float) -> float:
        """The share of `peak` multiply-adds a second that ours does."""
        return statistics.median(self.ours) * self.multiply_adds / peak


def pixels(settings: Settings) -> np.ndarray:
    """Random pixels 0..255 `(batch, size, size, 3)`."""
    shape = (settings.batch_size, settings.size, settings.size, 3)
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def labels(settings: Settings) -> np.ndarray:
    """Random classes `(batch,)`."""
    return np.random.default_rng(0).integers(0, CLASSES, settings.batch_size)


def ours(name: str, settings: Settings, **options):
    """Our network."""
    import vislearn

    shape = (settings.size, settings.size, 3)
    return vislearn.create_model(name, input_shape=shape, num_classes=CLASSES, **options)


def of_keras_applications(name: str, settings: Settings):
    """The network of keras.applications."""
    import keras

    return getattr(keras.applications, NETWORKS[name].keras)(
        weights=None,
        input_shape=(settings.size, settings.size, 3),
        classes=CLASSES,
        classifier_activation=None,
    )


# The sizes of the papers, as arguments of KerasHub's backbones.
HUB_SIZES = {
    "ViT": {"patch_size": (16, 16), "num_layers": 12, "num_heads": 6, "hidden_dim": 384}
    | {"mlp_dim": 1536},
    "SwinTransformer": {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)}
    | {"window_size": 7, "drop_path": 0.1},
}


def of_keras_hub(name: str, settings: Settings):
    """The network of KerasHub: its backbone, and the head that ours has."""
    import keras
    import keras_hub

    kind = NETWORKS[name].keras_hub
    body = getattr(keras_hub.models, f"{kind}Backbone")(
        image_shape=(settings.size, settings.size, 3), **HUB_SIZES[kind]
    )
    features = body.output  # (batch, tokens, dim) or (batch, height, width, dim)
    if kind == "ViT":
        features = features[:, 0]
    elif len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D()(features)
    else:
        features = keras.layers.GlobalAveragePooling1D()(features)
    return keras.Model(body.input, keras.layers.Dense(CLASSES)(features))


# What builds the Keras networks, by library.
KERAS = {
    "vislearn": ours,
    "keras.applications": of_keras_applications,
    "KerasHub": of_keras_hub,
}


def of_torch(library: str, name: str, settings: Settings):
    """The network of torchvision or timm, channels last."""
    return torch_network(Opponent(library, TORCH[library][name], CLASSES, settings.size))


def torch_pixels(settings: Settings):
    """The same pixels as a torch tensor, channels last in memory."""
    import torch

    x = torch.from_numpy(pixels(settings)).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


def opponents(name: str) -> list[str]:
    """The libraries that have a network and can be imported here."""
    network = NETWORKS[name]
    found = ["keras.applications"] if network.keras else []
    if network.keras_hub and installed("keras-hub"):
        found.append("KerasHub")
    return found + [
        library
        for library in ("torchvision", "timm")
        if name in TORCH[library] and installed(library)
    ]


def timed(step: Callable[[], None], settings: Settings) -> float:
    """Images per second over one round."""
    started = time.perf_counter()
    for _ in range(settings.steps):
        step()
    return settings.steps * settings.batch_size / (time.perf_counter() - started)


def compare(
    name: str, steps: dict[str, Callable[[], None]], settings: Settings, multiply_adds: float
) -> list[Result]:
    """Lets the networks take turns; each round begins with another one.

    Args:
        name: Our registry name.
        steps: What takes a step, by library; ours is `"vislearn"`.
        settings: Of the comparison.
        multiply_adds: Of one step of ours for one image.
    """
    libraries = list(steps)
    for step in steps.values():
        for _ in range(3):  # Compiles, and lets caches and clocks settle.
            step()
    speeds = {library: [] for library in libraries}
    for number in range(settings.rounds):
        first = number % len(libraries)
        for library in libraries[first:] + libraries[:first]:
            speeds[library].append(timed(steps[library], settings))
    mine = speeds.pop("vislearn")
    return [
        Result(name, library, settings, mine, theirs, multiply_adds)
        for library, theirs in speeds.items()
    ]


def peak(settings: Settings, size: int = 4096, repeats: int = 5) -> float:
    """Multiply-adds a second of one large matrix product: what this machine can do at most."""
    import keras

    kind = "bfloat16" if settings.precision == "mixed_bfloat16" else "float32"
    x = keras.ops.cast(keras.random.normal((size, size)), kind)
    best = math.inf
    for _ in range(repeats):
        started = time.perf_counter()
        float(keras.ops.matmul(x, x)[0, 0])
        best = min(best, time.perf_counter() - started)
    return size**3 / best


def spread(values: list[float], form: str = "{:.0f}") -> str:
    """`median (lowest-highest)`."""
    figures = (statistics.median(values), min(values), max(values))
    return "{} ({}-{})".format(*(form.format(figure) for figure in figures))


def table(title: str, results: list[Result], highest: float):
    """The results as a rich table, and the geometric mean of the ratios by opponent."""
    from rich.table import Table

    found = Table("model", "px", "against", title=f"{title}, images/s: median (lowest-highest)")
    for column in ("ours", "theirs", "ours / theirs", "utilisation"):
        found.add_column(column, justify="right", no_wrap=True)
    for result in results:
        found.add_row(
            result.model,
            str(result.settings.size),
            result.against,
            spread(result.ours),
            spread(result.theirs),
            spread(result.ratios, "{:.2f}"),
            f"{result.utilisation(highest):.0%}",
        )
    found.add_section()
    for against in dict.fromkeys(result.against for result in results):
        ratios = [statistics.median(r.ratios) for r in results if r.against == against]
        mean = f"{statistics.geometric_mean(ratios):.2f}"
        found.add_row(f"geometric mean of {len(ratios)}", "", against, "", "", mean, "")
    return found


def to_json(results: list[Result], machine: str, highest: float) -> str:
    """Everything that was measured, round by round, with the versions."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    rows = [
        {
            **dataclasses.asdict(result),
            "median_ours": statistics.median(result.ours),
            "median_theirs": statistics.median(result.theirs),
            "median_ratio": statistics.median(result.ratios),
            "utilisation": result.utilisation(highest),
        }
        for result in results
    ]
    document = {
        "unit": "images/s",
        "machine": machine,
        "peak_multiply_adds_per_second": highest,
        "versions": versions,
        "results": rows,
    }
    return json.dumps(document, indent=2) + "\n"


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def run(
    description: str,
    title: str,
    steps: Callable,
    *,
    passes: int,
    defaults: dict[str, int],
    more: tuple[str, ...] = (),
) -> None:
    """The command line of a benchmark.

    Args:
        description: For `--help`.
        title: Of the table.
        steps: Function of `(library, name, settings, **options)` that gives what takes a step.
        passes: How many forward passes the work of a step is equal to: 3 with the backward pass.
        defaults: Defaults of `batch_size`, `steps` and `rounds`.
        more: Opponents that take part only where `--against` names them.
    """
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--models", nargs="+", choices=[*NETWORKS], default=[*NETWORKS], help="default: all")
    add("--against", nargs="+", metavar="LIBRARY", help="default: all that are installed")
    add("--size", type=positive, help="side of the images in pixels; default: by model")
    for name, unit in (("batch_size", "images a step"), ("steps", "a round"), ("rounds", "each")):
        flag = "--" + name.replace("_", "-")
        add(flag, type=positive, default=defaults[name], help=f"{unit}; default: %(default)s")
    add("--precision", choices=PRECISIONS, default="float32", help="default: %(default)s")
    add("--json", type=Path, metavar="FILE", help="also write all figures, round by round")
    options = parser.parse_args()

    import keras
    from rich.console import Console

    from vislearn import backend
    from vislearn.multiply_adds import count_multiply_adds

    console = Console(width=max(110, Console().width))  # Also where it is piped to a file.
    machine = backend.describe()
    console.print(f"{machine}, {options.precision}, batch {options.batch_size}", highlight=False)
    results, settings = [], None
    for name in options.models:
        settings = Settings(
            batch_size=options.batch_size,
            size=options.size or NETWORKS[name].size,
            precision=options.precision,
            steps=options.steps,
            rounds=options.rounds,
        )
        asked = options.against or opponents(name)
        libraries = [library for library in (*opponents(name), *more) if library in asked]
        if not libraries:
            console.print(f"{name}: nothing to compare with is installed")
            continue
        console.print(f"{name} against {', '.join(libraries)} ...")
        # Opponents of the same network take turns together.
        groups: dict[str, list[str]] = {}
        for library in libraries:
            groups.setdefault(json.dumps(NETWORKS[name].options.get(library, {})), []).append(
                library
            )
        for text, group in groups.items():
            mine = json.loads(text)
            work = passes * count_multiply_adds(ours(name, settings, **mine))
            made = {"vislearn": steps("vislearn", name, settings, **mine)}
            made |= {library: steps(library, name, settings) for library in group}
            results += compare(name, made, settings, work)
        keras.utils.clear_session()
    if settings is None or not results:
        raise SystemExit("Nothing was compared.")
    highest = peak(settings)
    console.print(table(title, results, highest))
    if options.json is not None:
        options.json.write_text(to_json(results, machine, highest))
