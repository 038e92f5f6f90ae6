"""From the arguments of a training to its data, task and network."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from vislearn import backend
from vislearn.data import Dataset, load_dataset
from vislearn.data.augmentation import get_augmentation, recorded
from vislearn.registry import COMMON_ARGUMENTS, ModelInfo, create_model, model_info
from vislearn.tasks import TASKS, Pretraining, Task, get_task
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
    check_options(info, options or {})
    check_seed(seed)
    if taken := sorted({*(task_options or {})} & {"name", "classes", "family"}):
        raise ValueError(f"task_options holds {taken}, which follow from the model and the data.")
    if tune is not None and weights is None:
        Tuning.parse(tune)
        raise ValueError(f"tune={tune!r} needs weights to start from.")
    if pretraining is not None:
        task_options = {**(task_options or {}), "method": pretraining}
        if info.task != "classification":
            raise ValueError(f"model={model!r} must be a classifier, and is for {info.task}.")
        if pretraining not in METHODS:
            raise ValueError(f"method={pretraining!r} must be one of {METHODS}.")
    used = chosen_recipe(info, recipe, tune=tune, pretraining=pretraining)
    loading = {"augment": used.augment, **_channels(info, weights)}
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
        task=_task_name(info, pretraining),
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


def check_seed(seed: int) -> None:
    """Sees that a seed fits the data and the backends, which take different ones.

    Raises:
        ValueError: If it is out of range.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ValueError(f"seed={seed!r} must be an integer of at least 0 and below 2^31.")


def check_options(info: ModelInfo, options: Mapping[str, Any]) -> None:
    """Sees that an architecture has these options, before it is built.

    Raises:
        ValueError: If it has not, or if one follows from the data.
    """
    if taken := sorted({*options} & {"input_shape", "num_classes", "weights"}):
        raise ValueError(f"options holds {taken}, which follow from the data or have a place.")
    allowed = {*COMMON_ARGUMENTS, *info.options}
    if unknown := sorted({*options} - allowed):
        raise ValueError(f"options holds {unknown}; {info.name} takes {sorted(allowed)}.")


def chosen_recipe(
    info: ModelInfo,
    given: Mapping[str, Any],
    *,
    tune: str | None = None,
    pretraining: str | None = None,
) -> Recipe:
    """The recipe of a training: the family's, changed for what is tuned, with what is given.

    Args:
        info: Of the model.
        given: Fields that were asked for, as `train` takes them.
        tune, pretraining: See `train`.

    Raises:
        ValueError: If a field is unknown or out of range, or is no part of this training.
    """
    fields = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(given.keys() - fields):
        raise ValueError(f"{unknown} are no fields of the recipe: {sorted(fields)}.")
    given = dict(given)
    if given.get("loss") is not None:
        # The family's smoothing was chosen with cross entropy, and not every loss allows it.
        given = {"label_smoothing": 0.0, **given}
    tuning = None if tune is None else Tuning.parse(tune)
    usual = default_recipe(pretraining or info.family)
    usual = usual if tuning is None else tuning.recipe(usual)
    if "augment" in given:
        given["augment"] = recorded(given["augment"])
    used = dataclasses.replace(usual, **given)
    task = _task_name(info, pretraining)
    _refuse_unused(used, given, tuning, task_kind(task, info.family))
    get_augmentation(used.augment, task=task)  # Raises what is wrong with it.
    return used


def task_kind(task: str, family: str) -> type[Task]:
    """The class of the task, where one of the family is no other."""
    return TASKS.get((task, family)) or TASKS[task]


def _refuse_unused(used: Recipe, given: Mapping[str, Any], tuning, task: type[Task]) -> None:
    """Finds what was asked for and would change nothing."""
    if given.get("momentum") and OPTIMIZERS[used.optimizer].momentum is None:
        raise ValueError(
            f"momentum={used.momentum!r}: optimizer={used.optimizer!r} takes none in this field; "
            f"its optimizer_options are {list(OPTIMIZERS[used.optimizer].options) or 'none'}."
        )
    if "penalized" in given and not (used.l1 or used.l2):
        raise ValueError(f"penalized={used.penalized!r} needs l1 or l2, which are both 0.")
    if given.get("label_smoothing") and not task.smooths_labels:
        raise ValueError(
            f"label_smoothing={used.label_smoothing!r}: the loss of {task.name} has no labels "
            "that could be smoothed."
        )
    if used.loss is not None and not task.names_loss:
        raise ValueError(f"loss={used.loss!r}: {task.name} has a loss of its own.")
    if tuning is not None and tuning.kind == "head" and used.augment != "none":
        raise ValueError(
            f"augment={used.augment!r}: with tune='head' the features of each image are computed "
            "once, so it must be 'none'."
        )


def _weights_file(weights: str | Path) -> str:
    """The file of weights: that of a run where a folder is named."""
    path = Path(weights)
    return str(Run.open(path).finished("model.keras")) if path.is_dir() else str(weights)


def _task_name(info: ModelInfo, pretraining: str | None) -> str:
    return info.task if pretraining is None else Pretraining.name


def _channels(info: ModelInfo, weights: str | None) -> dict[str, int]:
    """Published weights are of colour: grey pictures are read so, too."""
    return {"channels": info.input_shape[2]} if weights == IMAGENET else {}


def load_alone(
    model: str,
    *,
    data: str | Path,
    image_size: int | tuple[int, int] | None = None,
    weights: str | None = None,
    data_options: dict[str, Any] | None = None,
    pretraining: str | None = None,
    **others,
) -> Dataset:
    """The data of a training, loaded before its recipe is known, so that only it can be at fault.

    Args:
        model, data, image_size, weights, data_options, pretraining: See `train`.
        **others: Further arguments of `train`, on which the loading does not depend.

    Raises:
        ValueError, OSError: As `load_dataset`.
    """
    info = model_info(model)
    return load_dataset(
        str(data),
        task=_task_name(info, pretraining),
        image_size=image_size,
        fallback_size=info.input_shape[:2],
        quiet=True,
        **{**_channels(info, weights), **(data_options or {})},
    )


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
    """The network of a run with the weights that it starts from.

    Raises:
        ValueError: If it can't be built, or gives something else than its task learns from and
            answers with, such as probabilities for logits.
    """
    keras.utils.set_random_seed(config.seed)
    network = create_model(
        config.model,
        input_shape=tuple(dataset.info.image_shape),
        num_classes=task.num_classes(model_info(config.model).num_classes),
        weights=config.weights,
        **config.options,
    )
    task.check_model(network)
    return network
