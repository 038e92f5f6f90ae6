"""A training run from the first line to the report: what `vislearn train` does.

A run is a folder:

    config.json      all that is needed to repeat or resume it
    history.csv      a line an epoch
    logs/            the same for TensorBoard
    checkpoints/     last.npz (the whole state), best.npz (the weights of the best epoch)
    model.keras      the best snapshot, in float32
    metrics.json     how it does on validation and test images
    report.html      curves, confusion matrix, mistakes
"""

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from vislearn import backend
from vislearn.data import Dataset, load_dataset
from vislearn.data.augmentation import get_augmentation, recorded
from vislearn.registry import create_model, model_info
from vislearn.tasks import Pretraining, Task, get_task
from vislearn.tasks.pretraining import METHODS
from vislearn.training import callbacks
from vislearn.training.checkpoint import load_state, load_weights, write_atomically
from vislearn.training.distribution import Replicas
from vislearn.training.evaluation import evaluate_and_report
from vislearn.training.recipes import Recipe, default_recipe
from vislearn.training.trainers import build_trainer
from vislearn.training.tuning import Probe, Tuning
from vislearn.weights.loading import IMAGENET


@dataclasses.dataclass(frozen=True)
class Config:
    """What makes a run: written to `config.json`, compared on resume.

    Attributes:
        model: Registry name.
        options: Further arguments of `create_model`.
        data: Source of `load_dataset`.
        data_options: Further arguments of `load_dataset`.
        recipe: How it is trained.
        precision: `"float32"` or `"mixed_bfloat16"`.
        seed: Seed of order, augmentation, initial weights and dropout.
        weights: What it starts from, or None.
        tune: What of it is trained, or None for all of it in the usual way.
        classes: Names of the classes, in the order of the model's outputs.
        task: Name of the task.
        task_options: Attributes of the task that differ from its defaults.
        members: Folders of the runs whose answers it averages; none for a network of its own.
    """

    model: str
    options: dict[str, Any]
    data: str
    data_options: dict[str, Any]
    recipe: Recipe
    precision: str
    seed: int
    weights: str | None
    tune: str | None = None
    classes: list[str] = dataclasses.field(default_factory=list)
    task: str = "classification"
    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    members: list[str] = dataclasses.field(default_factory=list)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of the images."""
        return (*self.data_options["image_size"], self.data_options["channels"])

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        values = json.loads(text)
        return cls(**{**values, "recipe": Recipe(**values["recipe"])})


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or running training in a folder.

    Attributes:
        folder: The folder.
        config: What makes it.
    """

    folder: Path
    config: Config

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Opens the folder of a run.

        Raises:
            FileNotFoundError: If it holds no `config.json`.
        """
        path = Path(folder) / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is no training run: it has no config.json.")
        return cls(Path(folder), Config.from_json(path.read_text()))

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics by split, `{"test": {"accuracy": 0.98, ...}, ...}`."""
        return json.loads(self._finished("metrics.json").read_text())

    def history(self) -> list[dict[str, float]]:
        """A dictionary an epoch."""
        import csv

        with open(self.folder / "history.csv", newline="") as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def task(self, **options) -> Task:
        """What it was trained for, with other options where they are given."""
        family = model_info(self.config.model).family
        options = {**self.config.task_options, **options}
        return get_task(self.config.task, self.config.classes, family, **options)

    def model(self) -> keras.Model:
        """The best snapshot, in float32."""
        return keras.saving.load_model(self._finished("model.keras"))

    def data(self, source: str | None = None) -> Dataset:
        """The data set that it was trained on, or another one read in the same way."""
        return load_dataset(
            source or self.config.data,
            task=self.config.task,
            batch_size=self.config.recipe.batch_size,
            seed=self.config.seed,
            **self.config.data_options,
        )

    def _finished(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.folder} has no {name}: its training has not ended. Go on with --resume."
            )
        return path


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
        pretraining: `"simclr"`, `"mae"` or `"simmim"`, to learn from pictures without labels, by
            the recipe of the method; see `vislearn.training.pretrain`. None for the model's task.
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
        _check_folder(folder, resume)
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
    used, tuning = config.recipe, None if tune is None else Tuning.parse(tune)
    replicas.check(used.batch_size, used.accumulate)
    with backend.precision(precision), replicas.scope():
        network = trained = build_network(config, dataset, task)
        probe, batches = None, dataset
        if tuning is not None:
            tuning.apply(network)
        if tuning is not None and tuning.kind == "head":
            probe = Probe(network, dataset, seed)
            trained, batches = probe.model, probe.data
        trainer = build_trainer(trained, task, used, used.epochs * dataset.steps_per_epoch, seed)
        replicas.prepare(trained, trainer)

    started = time.perf_counter()
    more = (*replicas.callbacks(), *extra_callbacks)
    with replicas.together(), replicas.scope():
        _open_folders(folder, config, resume, replicas)
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
    _save_model(final, folder)
    metrics = evaluate_and_report(final, dataset, task, folder, config, keeper, seconds)
    for split, values in metrics.items():
        figures = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        console.print(f"{split:<10} {figures}", highlight=False)
    console.print(
        f"Run in {folder} (report.html) after {time.perf_counter() - started:.0f} s.",
        highlight=False,
    )
    return Run(folder, config)


def prepare(
    model: str,
    *,
    data: str | Path,
    image_size: int | tuple[int, int] | None = None,
    precision: str = "float32",
    seed: int = 0,
    weights: str | None = None,
    tune: str | None = None,
    options: dict[str, Any] | None = None,
    data_options: dict[str, Any] | None = None,
    task_options: dict[str, Any] | None = None,
    pretraining: str | None = None,
    quiet: bool = False,
    **recipe,
) -> tuple[Config, Dataset, Task]:
    """What a run is made of, before its network is built: see `train` for arguments and errors."""
    info = model_info(model)
    fields = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(recipe.keys() - fields):
        raise ValueError(f"{unknown} are no fields of the recipe: {sorted(fields)}.")
    if taken := sorted({*(options or {})} & {"input_shape", "num_classes", "weights"}):
        raise ValueError(f"options holds {taken}, which follow from the data or have a place.")
    tuning = None if tune is None else Tuning.parse(tune)
    if tuning is not None and weights is None:
        raise ValueError(f"tune={tune!r} needs weights to start from.")
    if recipe.get("loss") is not None:
        # The family's smoothing was chosen with cross entropy, and not every loss allows it.
        recipe = {"label_smoothing": 0.0, **recipe}
    if pretraining is not None:
        task_options = {**(task_options or {}), "method": pretraining}
        if info.task != "classification":
            raise ValueError(f"model={model!r} must be a classifier, and is for {info.task}.")
        if pretraining not in METHODS:
            raise ValueError(f"method={pretraining!r} must be one of {METHODS}.")
    usual = default_recipe(pretraining or info.family)
    used = dataclasses.replace(usual if tuning is None else tuning.recipe(usual), **recipe)
    used = dataclasses.replace(used, augment=recorded(used.augment))
    loading = {"augment": used.augment}
    if weights == IMAGENET:
        loading["channels"] = info.input_shape[2]  # Grey pictures, too: the weights are of colour.
    config = Config(
        model=model,
        options=dict(options or {}),
        data=str(data),
        data_options={**loading, **(data_options or {})},
        recipe=used,
        precision=precision,
        seed=seed,
        weights=None if weights is None else _weights_file(weights),
        tune=tune,
        task=info.task if pretraining is None else Pretraining.name,
        task_options=dict(task_options or {}),
    )
    backend.make_deterministic(seed)
    dataset = _load(config, image_size, info.input_shape[:2], quiet)
    if "batch_size" not in recipe:
        used = _fit_batch_size(used, dataset, scale_rate="learning_rate" not in recipe)
    task = get_task(config.task, dataset.info.classes, info.family, **config.task_options)
    found = {**task.fitted(dataset.annotations("train")), **config.task_options}
    if found != config.task_options:
        config = dataclasses.replace(config, task_options=found)
        task = get_task(config.task, dataset.info.classes, info.family, **found)
    dataset.target = task.target  # Families of a task may learn from different things.
    dataset.views = task.views
    if task.views > 1 and get_augmentation(used.augment, task=config.task) is None:
        raise ValueError(f"augment={used.augment!r}: the views of a picture have to differ.")
    shape = {"image_size": dataset.info.image_shape[:2], "channels": dataset.info.image_shape[2]}
    config = dataclasses.replace(
        config,
        recipe=used,
        data_options={"resize": task.resize, **config.data_options, **shape},
        classes=list(dataset.info.classes),
    )
    return config, dataset, task


def _weights_file(weights: str | Path) -> str:
    """The file of weights: that of a run where a folder is named."""
    path = Path(weights)
    return str(Run.open(path)._finished("model.keras")) if path.is_dir() else str(weights)


def _check_folder(folder: Path, resume: bool) -> None:
    """Refuses a folder that another run would be lost in, before any work is done."""
    if resume:
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"resume: {folder} is no training run, it has no config.json.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"out={str(folder)!r} exists already. Go on with it (--resume) or name another folder."
        )


def _open_folder(folder: Path, config: Config, resume: bool) -> None:
    """Creates the run folder, or sees that the run in it is the one that is to go on."""
    path = folder / "config.json"
    if resume:
        before = dataclasses.asdict(Config.from_json(path.read_text()))
        now = dataclasses.asdict(Config.from_json(config.to_json()))
        for name, value in before.items():
            if value != now[name]:
                raise ValueError(
                    f"resume: the run in {folder} has {name}={value!r}, not {now[name]!r}."
                )
        return
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(config.to_json().encode()))


def _open_folders(folder: Path, config: Config, resume: bool, replicas: Replicas) -> None:
    """Opens the folder of the first host, and sees that the others are to train the same run."""
    if replicas.first:
        _open_folder(folder, config, resume)
    else:
        (folder / "checkpoints").mkdir()
    replicas.share(folder / "config.json")
    if not replicas.first:
        _open_folder(folder, config, resume=True)
    if resume:
        replicas.share(callbacks.state_path(folder))


def _load(config: Config, image_size, published: tuple[int, int], quiet: bool) -> Dataset:
    """Loads the data at the size asked for, else at its own, else at the model's."""
    return load_dataset(
        config.data,
        task=config.task,
        image_size=image_size,
        fallback_size=published,
        batch_size=config.recipe.batch_size,
        seed=config.seed,
        quiet=quiet,
        **config.data_options,
    )


def _fit_batch_size(recipe: Recipe, dataset: Dataset, *, scale_rate: bool) -> Recipe:
    """The recipe with a batch size that gives a small data set at least eight steps an epoch.

    The learning rate goes down in proportion (Goyal et al. 2017, arXiv:1706.02677).
    """
    size, images = recipe.batch_size, dataset.info.counts["train"]
    while size > 8 and images // size < 8:
        size //= 2
    dataset.batch_size = size = max(1, min(size, images))
    rate = recipe.learning_rate * (size / recipe.batch_size if scale_rate else 1)
    return dataclasses.replace(recipe, batch_size=size, learning_rate=rate)


def build_network(config: Config, dataset: Dataset, task: Task) -> keras.Model:
    """The network of a run with the weights that it starts from."""
    keras.utils.set_random_seed(config.seed)
    return create_model(
        config.model,
        input_shape=tuple(dataset.info.image_shape),
        num_classes=task.num_classes(model_info(config.model).num_classes),
        weights=config.weights,
        **config.options,
    )


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
        console.print(f"[bold]{label:<8}[/bold]", end="")
        console.print(text, highlight=False, markup=False, soft_wrap=True)
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


def _save_model(model: keras.Model, folder: Path) -> None:
    part = folder / "part.model.keras"
    model.save(part)
    part.replace(folder / "model.keras")
