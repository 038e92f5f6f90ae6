"""k-fold cross-validation (Stone 1974): every image is predicted by a network that never saw it.

A cross-validation is a folder:

    plan.json         what it follows from, compared on resume
    fold_1/ ...       a training run a fold
    metrics.json      each fold's metrics, their mean and standard deviation
    predictions.npz   the out-of-fold answers beside the truth
    folds.png         the metrics as a picture
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from vislearn import backend
from vislearn.selection.runs import (
    Counter,
    check_plan,
    finish,
    finished,
    write_json,
    write_plan,
)
from vislearn.tasks.base import Arrays
from vislearn.training.callbacks import announce
from vislearn.training.checkpoint import write_atomically
from vislearn.training.evaluation import predict_arrays
from vislearn.training.preparation import build_network, prepare
from vislearn.training.run import Run


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation found.

    Attributes:
        folder: Where it lies.
        folds: Metrics by fold, each on the images of its fold.
        mean: Mean of each metric over the folds.
        deviation: Standard deviation of each, with n - 1. The folds share most of their training
            images, so it understates how much the metric would vary with other data (Bengio and
            Grandvalet 2004).
        pooled: Metrics of all out-of-fold answers together.
        images: Number of these.
    """

    folder: Path
    folds: tuple[dict[str, float], ...]
    mean: dict[str, float]
    deviation: dict[str, float]
    pooled: dict[str, float]
    images: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**dataclasses.asdict(self), "folder": str(self.folder), "folds": [*self.folds]}


def cross_validate(
    model: str,
    *,
    data: str | Path,
    out: str | Path,
    folds: int = 5,
    resume: bool = False,
    quiet: bool = False,
    data_options: dict[str, Any] | None = None,
    **training,
) -> CrossValidation:
    """Trains a network a fold and measures each on the images that it was kept from.

    The training and validation images are dealt into stratified folds. Of those outside a fold, a
    tenth is held out for that fold's own early stopping and best epoch, so that no figure was
    chosen by the images it is measured on. The test split of the data is not read.

    Args:
        model, data, data_options: See `vislearn.training.train`.
        out: Folder for it all; must not exist unless `resume`.
        folds: How many, 2 or more.
        resume: Go on with the cross-validation in `out`: finished folds are kept, and the one that
            was killed goes on after its last whole epoch.
        quiet: Print nothing.
        **training: Further arguments of `train`, fields of the recipe among them.

    Raises:
        ValueError: If an argument is unfit, a class has fewer images than there are folds, the
            task is measured on no images, or `resume` finds another plan.
        FileExistsError: If `out` exists and `resume` is False.
    """
    from rich.console import Console

    console = Console(quiet=quiet)
    folder = Path(out)
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 2:
        raise ValueError(f"folds={folds!r} must be an integer of at least 2.")
    given = {"data": str(data), "data_options": dict(data_options or {}), **training}
    plan = {"model": model, "folds": folds, **given}
    check_plan(folder, plan, resume)
    _check_first(model, folds, **given)
    write_plan(folder, plan)
    announce(console, "folds", f"{folds} of {data} for {model}, in {folder}")

    answers, truths, files, metrics = [], [], [], []
    with Counter(console, "folds", folds) as counter:
        for number in range(1, folds + 1):
            place = folder / f"fold_{number}"
            known = finished(place)
            options = {**given["data_options"], "fold": [number, folds]}
            run = finish(
                model,
                out=place,
                quiet=True,
                extra_callbacks=[counter.epochs(number)],
                **{**given, "data_options": options},
            )
            answer, truth, paths = _out_of_fold(run)
            answers.append(answer)
            truths.append(truth)
            files += paths
            metrics.append(run.metrics()["test"])
            figures = _figures(metrics[-1])
            line = f"fold {number}/{folds}  {figures}{'  (kept)' * known}"
            counter.ended(number, line, figures)

    values = {name: [row[name] for row in metrics] for name in metrics[0]}
    result = CrossValidation(
        folder=folder,
        folds=tuple(metrics),
        mean={name: float(np.mean(row)) for name, row in values.items()},
        deviation={name: float(np.std(row, ddof=1)) for name, row in values.items()},
        pooled=run.task().measure(_stack(answers), _stack(truths)),
        images=sum(len(next(iter(truth.values()))) for truth in truths),
    )
    _write(result, answers, truths, files)
    width = max(map(len, result.mean))
    for name, mean in result.mean.items():
        console.print(f"{name:<{width}} {mean:.4f} ± {result.deviation[name]:.4f}", highlight=False)
    return result


def _check_first(model: str, folds: int, *, data_options, devices=None, **training) -> None:
    """Sees that the first fold can be trained, before a folder is made that would be in the way.

    Raises:
        ValueError, OSError: As `train`, or if the task is measured on no images.
    """
    del devices  # Nothing is trained here.
    options = {**data_options, "fold": [1, folds]}
    config, dataset, task = prepare(model, data_options=options, quiet=True, **training)
    if not task.takes_images:
        raise ValueError(f"model={model!r} is measured on no images, so folds would tell nothing.")
    with backend.precision(config.precision):
        build_network(config, dataset, task)


def _out_of_fold(run: Run) -> tuple[Arrays, Arrays, list[str]]:
    """Answers for the images of a run's fold, their annotations, and their files, if any."""
    data = run.data()
    truth = data.arrays("test")
    answers = predict_arrays(run.model(), run.task(), truth.pop("images"))
    return answers, truth, [str(path) for path in data.paths("test") or ()]


def _stack(parts: list[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _figures(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _write(result: CrossValidation, answers, truths, files) -> None:
    """`metrics.json`, `predictions.npz` and `folds.png`."""
    from vislearn import pictures

    sizes = [len(next(iter(truth.values()))) for truth in truths]
    arrays = {
        "fold": np.repeat(np.arange(1, len(sizes) + 1), sizes),
        **{f"answer_{name}": value for name, value in _stack(answers).items()},
        **{f"truth_{name}": value for name, value in _stack(truths).items()},
    }
    if files:
        arrays["path"] = np.array(files)
    path = result.folder / "predictions.npz"
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))
    pictures.save(pictures.fold_metrics(result.folds), result.folder / "folds.png")
    write_json(result.folder / "metrics.json", result.to_json())
