"""Ensembles: several trained networks as one model whose answer is the mean of theirs.

The networks that follow from other seeds, folds or settings make other mistakes; the average of
their distributions has a lower cross entropy than theirs on average, by Jensen's inequality
(Hansen and Salamon 1990; Lakshminarayanan et al. 2017, arXiv:1612.01474).
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from vislearn.layers import LogMeanProbability
from vislearn.selection.runs import write_json
from vislearn.tasks.base import refuse_activation
from vislearn.training.checkpoint import write_atomically
from vislearn.training.evaluation import predict_arrays
from vislearn.training.run import Run

AVERAGED = ("classification", "regression")


def average(models: Sequence[keras.Model], *, name: str = "ensemble") -> keras.Model:
    """One flat functional model from several classifiers of the same images and classes.

    Args:
        models: Functional models from pixels `(batch, height, width, channels)` to logits
            `(batch, classes)`, each with its own preprocessing inside. They are copied; the layers
            of the n-th are named `member<n>_...`.
        name: Name of the model.

    Returns:
        A model from the same pixels to the logarithm of the mean of the members' probabilities,
        which are logits again.

    Raises:
        ValueError: If there are fewer than two, their inputs or outputs differ in shape, or one
            gives probabilities.
    """
    for model in models:
        refuse_activation(getattr(model.layers[-1], "activation", None), "softmax")
    inputs, outputs = _side_by_side(models)
    mean = LogMeanProbability(name="mean_probability")(outputs)
    return keras.Model(inputs, mean, name=name)


def average_values(
    models: Sequence[keras.Model],
    means: Sequence[Sequence[float]],
    deviations: Sequence[Sequence[float]],
    *,
    name: str = "ensemble",
) -> keras.Model:
    """One flat functional model from several networks that measure the same quantities.

    Args:
        models: As for `average`, to standardised values `(batch, quantities)`.
        means, deviations: By model what its outputs are standardised with; see `Regression`.
        name: Name of the model.

    Returns:
        A model from the same pixels to the mean of the values, standardised like the first's.

    Raises:
        ValueError: As for `average`.
    """
    inputs, outputs = _side_by_side(models)
    mean, deviation = np.array(means, float), np.array(deviations, float)  # (members, quantities)
    scales, offsets = deviation / deviation[0], (mean - mean[0]) / deviation[0]
    alike = [
        keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=f"member{number}_units")(x)
        for number, (x, scale, offset) in enumerate(zip(outputs, scales, offsets, strict=True), 1)
    ]
    return keras.Model(inputs, keras.layers.Average(name="mean_value")(alike), name=name)


def _side_by_side(models: Sequence[keras.Model]):
    """One input, and the outputs of copies of all models on it."""
    if len(models) < 2:
        raise ValueError(f"models holds {len(models)}: an ensemble needs at least two.")
    for what in ("input_shape", "output_shape"):
        shapes = sorted({getattr(model, what) for model in models}, key=str)
        if len(shapes) > 1:
            raise ValueError(f"models have the {what}s {shapes}: an ensemble needs one.")
    inputs = keras.Input(models[0].input_shape[1:], name="image")
    outputs = []
    for number, model in enumerate(models, start=1):
        copy = keras.models.clone_model(
            model, input_tensors=inputs, clone_function=_Renamed(f"member{number}_")
        )
        copy.set_weights(model.get_weights())
        outputs.append(copy.output)
    return inputs, outputs


@dataclasses.dataclass(frozen=True)
class _Renamed:
    """Copies layers under names with a prefix, which keeps those of several models apart."""

    prefix: str

    def __call__(self, layer):
        copy = layer.__class__.from_config(layer.get_config())
        copy.name = self.prefix + layer.name
        return copy


def ensemble(
    runs: Sequence[str | Path], *, out: str | Path, quiet: bool = False
) -> dict[str, dict[str, dict[str, float]]]:
    """Makes a run of the average of several, and measures it beside them.

    `vislearn export`, `evaluate` and `predict` take the new folder like that of any run. It holds
    `model.keras`, `metrics.json`, `members.json` (all figures) and `members.png`.

    Runs of a cross-validation have learned from each other's validation images: an ensemble with
    one of them is measured on the test images alone.

    Args:
        runs: Folders of finished runs of one task, with the same classes and image shape.
        out: Folder of the new run; must not exist.
        quiet: Print nothing.

    Returns:
        Metrics by model (folders and `"ensemble"`) and split.

    Raises:
        ValueError: If the runs don't fit together, or their answers can't be averaged.
        FileNotFoundError: If one has not ended.
        FileExistsError: If `out` exists.
    """
    from rich.console import Console

    folder, members = Path(out), [Run.open(run) for run in runs]
    _check_members(members)
    if folder.exists():
        raise FileExistsError(f"out={str(folder)!r} exists already: name another folder.")
    first = members[0]
    models = [member.model() for member in members]
    for member, model in zip(members, models, strict=True):
        member.task().check_model(model)
    if first.config.task == "classification":
        network = average(models)
    else:
        tasks = [member.task() for member in members]
        network = average_values(
            models, [task.means for task in tasks], [task.deviations for task in tasks]
        )
    options = {k: v for k, v in first.config.data_options.items() if k not in ("fold", "test")}
    config = dataclasses.replace(
        first.config,
        data_options=options,
        members=[str(member.folder) for member in members],
    )
    run = Run(folder, config)
    metrics = _measured(run, members, [*models, network])

    folder.mkdir(parents=True)
    network.save(folder / "model.keras")
    write_json(folder / "metrics.json", metrics["ensemble"])
    write_json(folder / "members.json", metrics)
    _draw(metrics, run)
    # Last: it makes a run of the folder.
    write_atomically(folder / "config.json", lambda file: file.write(config.to_json().encode()))
    Console(quiet=quiet).print(_table(metrics))
    return metrics


def _check_members(members: Sequence[Run]) -> None:
    if len(members) < 2:
        raise ValueError(f"runs holds {len(members)}: an ensemble needs at least two.")
    folders = [member.folder.resolve() for member in members]
    for member, folder in zip(members, folders, strict=True):
        if folders.count(folder) > 1:
            raise ValueError(f"runs holds {member.folder} twice: an average needs different runs.")
    first = members[0].config
    if first.task not in AVERAGED:
        raise ValueError(f"{members[0].folder} is of the task {first.task!r}, not of {AVERAGED}.")
    for member in members[1:]:
        for what in ("task", "classes", "image_shape", "data"):
            one, other = getattr(first, what), getattr(member.config, what)
            if one != other:
                raise ValueError(
                    f"{members[0].folder} has {what}={one!r}, and {member.folder} {other!r}: the "
                    "members of an ensemble must agree."
                )


def _measured(run: Run, members, models) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics by model and split, the ensemble's last."""
    data, found = run.data(), {}
    folds = any("fold" in member.config.data_options for member in members)
    names = [*(str(member.folder) for member in members), "ensemble"]
    tasks = [*(member.task() for member in members), run.task()]
    splits = [s for s in ("validation", "test") if s in data.info.counts]
    for split in splits[-1:] if folds else splits:
        truth = data.arrays(split)
        for name, model, task in zip(names, models, tasks, strict=True):
            answers = predict_arrays(model, task, truth["images"])
            found.setdefault(name, {})[split] = task.measure(answers, truth)
    return found


def _draw(metrics, run: Run) -> None:
    from vislearn import pictures

    split, metric = [*metrics["ensemble"]][-1], run.task().metric
    values = {name: found[split][metric] for name, found in metrics.items()}
    figure = pictures.member_bars(values, f"{split} {metric}", highlight="ensemble")
    pictures.save(figure, run.folder / "members.png")


def _table(metrics):
    """A `rich.table.Table` of all figures."""
    from rich.table import Table

    from vislearn.tables import narrow

    columns = [(split, name) for split, row in metrics["ensemble"].items() for name in narrow(row)]
    table = Table(box=None)
    table.add_column("model", overflow="fold")
    for split, name in columns:
        table.add_column(f"{split} {name}")
    for model, found in metrics.items():
        table.add_row(model, *(f"{found[split][name]:.4f}" for split, name in columns))
    return table
