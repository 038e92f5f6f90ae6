"""From the arguments of a training to its data, task and network."""

import dataclasses
from pathlib import Path
from typing import Any

import keras

from vislearn import backend
from vislearn.data import Dataset, load_dataset
from vislearn.data.augmentation import get_augmentation, recorded
from vislearn.registry import create_model, model_info
from vislearn.tasks import Pretraining, Task, get_task
from vislearn.tasks.pretraining import METHODS
from vislearn.training.optimizers import OPTIMIZERS
from vislearn.training.recipes import Recipe, default_recipe
from vislearn.training.run import Config, Run
from vislearn.training.tuning import Tuning
from vislearn.weights.loading import IMAGENET


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
    return str(Run.open(path).finished("model.keras")) if path.is_dir() else str(weights)


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

    The learning rate of descent goes down in proportion (Goyal et al. 2017, arXiv:1706.02677), that
    of rules that divide by the size of gradients with the square root (Malladi et al. 2022,
    arXiv:2205.10287).
    """
    size, images = recipe.batch_size, dataset.info.counts["train"]
    while size > 8 and images // size < 8:
        size //= 2
    dataset.batch_size = size = max(1, min(size, images))
    rate = recipe.learning_rate
    if scale_rate:
        descent = OPTIMIZERS[recipe.optimizer].kind is keras.optimizers.SGD
        rate *= (size / recipe.batch_size) ** (1.0 if descent else 0.5)
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
