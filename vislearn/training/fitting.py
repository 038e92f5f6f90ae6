"""Training from the first line to the report: what `vislearn train` does."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from vislearn import backend
from vislearn.training import callbacks
from vislearn.training.checkpoint import load_state, load_weights
from vislearn.training.distribution import Replicas
from vislearn.training.evaluation import evaluate_and_report
from vislearn.training.preparation import build_network, prepare
from vislearn.training.run import Config, Run, check_folder, open_folders, save_model
from vislearn.training.trainers import build_trainer
from vislearn.training.tuning import begin_tuning


def train(
    model: str,
    *,
    data: str | Path,
    out: str | Path,
    image_size: int | tuple[int, int] | None = None,
    precision: str = "float32",
    seed: int = 0,
    weights: str | None = None,
    tune: str | None = None,
    options: dict[str, Any] | None = None,
    data_options: dict[str, Any] | None = None,
    task_options: dict[str, Any] | None = None,
    pretraining: str | None = None,
    devices: int | None = None,
    resume: bool = False,
    quiet: bool = False,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    **recipe,
) -> Run:
    """Trains a registered model on a data set and leaves a run folder.

    Args:
        model: Registry name.
        data: Source of `load_dataset`: a folder, `"digits"`, or a TFDS name.
        out: Folder of the run; must not exist unless `resume`.
        image_size: Side, or height and width, to which images are brought; None for the images'
            own size where all are equal, otherwise the model's published input.
        precision: `"float32"` or `"mixed_bfloat16"`.
        seed: Seed of everything random; a run with a seed repeats exactly on one machine.
        weights: What to start from: `"imagenet"`, a file of weights, or the folder of another run.
        tune: What of it is trained: `"head"`, `"stages:2"` (the last two and the head), `"all"`
            with smaller rates below, or `"adapters"`; see `tuning`. None trains all of it in the
            usual way.
        options: Further arguments of `create_model`.
        data_options: Further arguments of `load_dataset`.
        task_options: Attributes of the task, such as `{"schedule": "cosine"}` for diffusion.
        pretraining: `"simclr"`, `"dino"`, `"mae"` or `"simmim"`, to learn from pictures without
            labels, by the recipe of the method; see `vislearn.training.pretrain`. None for the
            model's task.
        devices: On how many devices of each host every batch is divided; None for all accelerators
            on JAX, and otherwise for one. `distribution.start` sets up several CPU devices, and
            several hosts, of which only the first writes the run.
        resume: Go on with the run in `out` after its last whole epoch. The result is the same, bit
            for bit, as that of a run that was not interrupted.
        quiet: Print nothing.
        extra_callbacks: Called at the end of an epoch after everything is written; one may set
            `stop_training`.
        **recipe: Fields of `Recipe` that differ from the family's default.

    Returns:
        The finished run.

    Raises:
        ValueError: If an argument, the model or the data is unfit.
        FileExistsError: If `out` exists and `resume` is False.
        TrainingDiverged: If the loss becomes NaN or infinite.
        HostLost: If another host of the run dies.
    """
    from rich.console import Console

    replicas = Replicas(devices)
    quiet = quiet or not replicas.first
    console = Console(quiet=quiet)
    folder = replicas.folder(Path(out))
    if replicas.first:
        check_folder(folder, resume)
    more = (*replicas.callbacks(), *extra_callbacks)
    started = time.perf_counter()
    with replicas.together():
        config, dataset, task = prepare(
            model,
            data=data,
            image_size=image_size,
            precision=precision,
            seed=seed,
            weights=weights,
            tune=tune,
            options=options,
            data_options=data_options,
            task_options=task_options,
            pretraining=pretraining,
            quiet=quiet,
            **recipe,
        )
        used = config.recipe
        replicas.check(used.batch_size, used.accumulate)
        with backend.precision(precision), replicas.scope():
            network = build_network(config, dataset, task)
            trained, batches, probe = begin_tuning(network, dataset, tune, seed)
            steps = used.epochs * dataset.steps_per_epoch
            trainer = build_trainer(trained, task, used, steps, seed)
            replicas.prepare(trained, trainer)
        with replicas.scope():
            open_folders(folder, config, resume, replicas)
            state = callbacks.state_path(folder)
            history = load_state(state, trainer)["history"] if resume and state.exists() else []
            _announce(console, config, dataset, task, network, replicas, folder, done=len(history))
            keeper = _fit(
                trainer, trained, batches, folder, used, task, history, console, more, replicas
            )
    if not replicas.first:
        return Run(Path(out), config)
    seconds = sum(row["seconds"] for row in keeper.history)
    console.print(
        f"Best epoch {keeper.best_epoch} of {len(keeper.history)}; evaluating ...", highlight=False
    )
    final = build_network(config, dataset, task)
    if probe is None:
        load_weights(callbacks.best_path(folder), final)
    else:
        load_weights(callbacks.best_path(folder), probe.model)
        probe.install(final)
    save_model(final, folder)
    metrics = evaluate_and_report(final, dataset, task, folder, config, keeper, seconds)
    for split, values in metrics.items():
        figures = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        console.print(f"{split:<10} {figures}", highlight=False)
    console.print(
        f"Run in {folder} (report.html) after {time.perf_counter() - started:.0f} s.",
        highlight=False,
    )
    return Run(folder, config)


def _fit(
    trainer, network, dataset, folder, recipe, task, history, console, extra_callbacks, replicas
):
    """The epochs that are left; returns the bookkeeper."""
    monitor = task.metric
    if monitor is not None and dataset.validation is not None:
        monitor = f"val_{monitor}"
    keeper = callbacks.Bookkeeper(
        folder,
        network=network,
        monitor=monitor,
        mode=task.metric_mode,
        patience=recipe.patience,
        history=history,
    )
    if keeper.stopped_early or len(history) >= recipe.epochs:
        return keeper
    metrics = [metric.name for metric in task.metrics()]
    before, validation = [callbacks.StopOnNonFiniteLoss()], dataset.validation
    if recipe.ema:
        before.append(callbacks.ValidateAverages())
    if recipe.l1 or recipe.l2:
        before.append(callbacks.ShowPenalty(network))
    if task.measures_answers and validation is not None:
        before.append(callbacks.MeasureAnswers(network, task, dataset.arrays("validation")))
        metrics, validation = [task.metric], None
    if task.name == "generation":
        before.append(callbacks.DrawSamples(network, task, folder))
    progress = callbacks.Progress(
        console,
        steps=dataset.steps_per_epoch,
        batch_size=recipe.batch_size,
        metrics=tuple(metrics[:1]),
        keeper=keeper,
    )
    with progress:
        trainer.fit(
            replicas.part_of(dataset.training_batches(start_epoch=len(history))),
            validation_data=validation,
            steps_per_epoch=dataset.steps_per_epoch,
            initial_epoch=len(history),
            epochs=recipe.epochs,
            callbacks=[
                *before,
                keeper,
                progress,
                keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
                *extra_callbacks,
            ],
            shuffle=False,  # The batches come in an order of their own.
            verbose=0,
        )
    if keeper.stopped_early:
        console.print(f"Stopped early: no better {monitor} for {recipe.patience} epochs.")
    return keeper


def _announce(console, config, dataset, task, network, replicas, folder, *, done: int) -> None:
    """Says what is about to happen, in a few lines."""
    recipe, info, learned = config.recipe, dataset.info, task.contents()
    counts = ", ".join(f"{count:,} {split}" for split, count in info.counts.items())
    for label, text in (
        ("model", _sizes(config, network)),
        ("data", f"{info.source}: {counts}" + (f"; {learned}" if learned else "")),
        ("input", " x ".join(map(str, info.image_shape))),
        (
            "recipe",
            f"{recipe.epochs} epochs of {dataset.steps_per_epoch} steps, batch {recipe.batch_size},"
            f" {recipe.optimizer} {recipe.learning_rate:g} {recipe.schedule},"
            f" augment {_told(recipe.augment)}, {config.precision}, seed {config.seed}",
        ),
        ("machine", backend.describe() + replicas.describe()),
        ("run", f"{folder}, going on after epoch {done}" if done else str(folder)),
    ):
        callbacks.announce(console, label, text)
    for note in info.notes:
        console.print(f"        {note}", highlight=False, markup=False, soft_wrap=True)


def _told(augment: str | dict[str, Any] | None) -> str:
    """The name of an augmentation, or the names of what it does."""
    if not isinstance(augment, dict):
        return str(augment)
    return "+".join(name for operation in augment["operations"] for name in operation) or "none"


def _sizes(config: Config, network: keras.Model) -> str:
    text = f"{config.model}, {network.count_params():,} parameters"
    if config.tune is None:
        return text
    head = network.get_layer("head")
    tuned = head.weights if config.tune == "head" else network.trainable_weights
    count = sum(math.prod(weight.shape) for weight in tuned)
    return f"{text}, {count:,} of them trained ({config.tune}), from {config.weights}"
