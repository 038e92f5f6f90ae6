"""How good the pictures of a generative network are, in the eyes of a classifier held apart."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a classifier, and the real pictures, say of generated ones.

    Distances are between features of this classifier: they compare generators on one data set with
    one another, and with nothing that was published.

    Attributes:
        target: What made the pictures.
        count: How many were judged.
        classifier_accuracy: Of the judge, on real test pictures.
        confidence: Mean probability of the likeliest class, on the generated pictures.
        real_confidence: The same on real test pictures.
        shares: Share of the generated pictures that are taken for each class.
        frechet_distance: From training pictures to the generated ones.
        real_frechet_distance: From the same training pictures to as many real test pictures.
        kernel_distance: KID of training and generated pictures.
        real_kernel_distance: KID of training and test pictures.
        copies: Share of the generated pictures that are nearer to a training picture than 99% of
            the test pictures are; 0.01 is what real pictures would have.
    """

    target: str
    count: int
    classifier_accuracy: float
    confidence: float
    real_confidence: float
    shares: dict[str, float]
    frechet_distance: float
    real_frechet_distance: float
    kernel_distance: float
    real_kernel_distance: float
    copies: float


def judge(images: np.ndarray, classifier, task, train: np.ndarray, test: dict, *, target: str):
    """Judges pictures that are in memory already.

    Args:
        images: Generated, uint8 `(n, height, width, channels)`.
        classifier: A Keras classifier of such pictures.
        task: Its task.
        train: uint8 training pictures; as many as `images`, or more.
        test: `images` and `labels` of real pictures that nothing was trained on.
        target: What made the pictures.

    Returns:
        The `Verdict`.

    Raises:
        ValueError: If the pictures have another shape than those of the data set.
    """
    from vislearn.metrics import generative
    from vislearn.training.evaluation import predict_arrays

    if images.shape[1:] != test["images"].shape[1:]:
        raise ValueError(
            f"The pictures of {target} have the shape {images.shape[1:]}, and those of the data "
            f"set {test['images'].shape[1:]}."
        )
    count = len(images)
    if count > min(len(train), len(test["images"])):
        raise ValueError(
            f"count={count} must be at most {min(len(train), len(test['images']))}: as many real "
            "pictures are compared."
        )
    chosen = np.random.default_rng(0).permutation(len(test["images"]))[:count]
    real, reference = test["images"][chosen], train[:count]
    answers = predict_arrays(classifier, task, images)
    on_test = predict_arrays(classifier, task, test["images"])
    shares = np.bincount(answers["class_id"], minlength=len(task.classes)) / count
    made, known, other = (
        generative.features(classifier, part) for part in (images, reference, real)
    )
    return Verdict(
        target=target,
        count=count,
        classifier_accuracy=task.measure(on_test, test)["accuracy"],
        confidence=float(answers["scores"].max(axis=-1).mean()),
        real_confidence=float(on_test["scores"].max(axis=-1).mean()),
        shares=dict(zip(task.classes, shares.tolist(), strict=True)),
        frechet_distance=generative.frechet_distance(known, made),
        real_frechet_distance=generative.frechet_distance(known, other),
        kernel_distance=generative.kernel_distance(known, made)[0],
        real_kernel_distance=generative.kernel_distance(known, other)[0],
        copies=generative.find_copies(images, train, real).share,
    )


def judge_targets(
    targets: Sequence[str | Path],
    data: str,
    classifier: str | Path,
    *,
    count: int = 1000,
    seed: int = 0,
    data_dir: str | Path | None = None,
) -> list[Verdict]:
    """Lets runs and packages make pictures, and judges them.

    Args:
        targets: Folders of training runs and of packages that make pictures.
        data: Source of `load_dataset` with real pictures and their classes.
        classifier: Run of a classifier that was trained on the same data set.
        count: Pictures of each.
        seed: Seed of the noise.
        data_dir: Where TFDS data sets are prepared.

    Raises:
        ValueError: If a target makes no pictures, or pictures of another shape.
    """
    from vislearn.data import load_dataset
    from vislearn.training import Run

    run = Run.open(classifier)
    if run.config.task != "classification":
        raise ValueError(
            f"judge={str(classifier)!r} is a run for {run.config.task}, no classifier."
        )
    height, width, channels = run.config.image_shape
    dataset = load_dataset(
        data,
        image_size=(height, width),
        channels=channels,
        resize=run.config.data_options["resize"],
        data_dir=data_dir,
    )
    model, task = run.model(), run.task()
    train, test = dataset.arrays("train")["images"], dataset.arrays("test")
    # Files lie in the order of their classes.
    train = np.random.default_rng(1).permutation(train)
    return [
        judge(make_pictures(target, count, seed), model, task, train, test, target=str(target))
        for target in targets
    ]


def make_pictures(target: str | Path, count: int, seed: int = 0) -> np.ndarray:
    """Pictures of a training run, or of a package.

    Raises:
        ValueError: If it makes none.
    """
    from vislearn.export.generation import package_pictures
    from vislearn.training import Run

    if not (Path(target) / "config.json").is_file():
        return package_pictures(target, count=count, seed=seed)
    run = Run.open(target)
    images = run.task().samples(run.model(), count, seed)
    if images is None:
        raise ValueError(f"{target} was trained for {run.config.task}, and makes no pictures.")
    return images


def verdict_table(verdicts: Sequence[Verdict]):
    """The verdicts as a rich table, with the real pictures in the last column."""
    from rich.table import Table

    first = verdicts[0]
    title = f"{first.count:,} pictures, judged with accuracy {first.classifier_accuracy:.4f}"
    table = Table(title=title, box=None)
    table.add_column("")
    for verdict in verdicts:
        table.add_column(verdict.target, justify="right", overflow="fold")
    table.add_column("real", justify="right")
    rows: list[tuple[str, Any, Any]] = [
        ("mean confidence", lambda v: f"{v.confidence:.4f}", f"{first.real_confidence:.4f}"),
        (
            "Fréchet distance",
            lambda v: f"{v.frechet_distance:.2f}",
            f"{first.real_frechet_distance:.2f}",
        ),
        (
            "kernel distance",
            lambda v: f"{v.kernel_distance:.4f}",
            f"{first.real_kernel_distance:.4f}",
        ),
        ("copies", lambda v: f"{v.copies:.2%}", "1.00%"),
        *[
            (f"share of {name}", lambda v, name=name: f"{v.shares[name]:.2%}", "")
            for name in first.shares
        ],
    ]
    for head, show, real in rows:
        table.add_row(head, *map(show, verdicts), real)
    return table
