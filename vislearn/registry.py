"""Names to builders: how an architecture is registered, found, described and built.

A builder is a function that takes keyword arguments only, the first five being

    (*, input_shape, num_classes, classifier_activation, preprocessing, name, ...)

and returns a flat functional `keras.Model`. `register` gives it a public name, the facts about it
(`ModelInfo`), and the values of the remaining arguments that make up the variant.
"""

import dataclasses
import difflib
import fnmatch
import functools
import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

COMMON_ARGUMENTS = (
    "input_shape",
    "num_classes",
    "classifier_activation",
    "preprocessing",
    "name",
)


@dataclasses.dataclass(frozen=True)
class Paper:
    """Where an architecture was published."""

    title: str
    authors: str
    year: int
    url: str


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What is known about a registered model.

    Attributes:
        name: Registry name, what `create_model` takes.
        task: What it is for, such as `"classification"`.
        family: The file it lives in, such as `"resnet"`.
        title, authors, year, url: The paper.
        input_shape: Published input `(height, width, channels)`.
        num_classes: Published number of classes.
        reference_params: Published count of trainable weights and batch-norm statistics, or None.
        reference_gmacs: Published multiply-adds in units of 1e9, or None.
        reference: Where the two counts come from, or None.
        variant: The arguments that make the builder this variant.
        tiny: Arguments for `create_model` that give a small version of it, for tests and toys.
        options: The names of all arguments that the builder takes beyond the common ones.
    """

    name: str
    task: str
    family: str
    title: str
    authors: str
    year: int
    url: str
    input_shape: tuple[int, ...]
    num_classes: int
    reference_params: int | None
    reference_gmacs: float | None
    reference: str | None
    variant: Mapping[str, Any]
    tiny: Mapping[str, Any]
    options: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Entry:
    info: ModelInfo
    builder: Callable
    pyramid: Callable | None


_entries: dict[str, _Entry] = {}


def register(
    name: str,
    *,
    paper: Paper,
    family: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    task: str = "classification",
    reference_params: int | None = None,
    reference_gmacs: float | None = None,
    reference: str | None = None,
    tiny: Mapping[str, Any] | None = None,
    pyramid: Callable | None = None,
    **variant,
) -> Callable[[Callable], Callable]:
    """Registers the decorated builder under `name`; several decorators register several variants.

    Args:
        name: Registry name: lower-case letters, digits and underscores.
        paper: Where it was published.
        family, task, input_shape, num_classes, reference_params, reference_gmacs, reference, tiny:
            See `ModelInfo`.
        pyramid: For a network without stages: function of `(model, levels)`, the model built with
            `num_classes=0`, that adds layers of its own and returns `{level: tensor}`. It raises
            ValueError for levels that it can't make.
        **variant: Values for arguments of the builder beyond the common ones.

    Raises:
        ValueError: If the name is malformed or taken, if the builder does not start with the common
            arguments, or if `variant` or `tiny` names an argument that it does not take.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"name={name!r} can't be registered: use lower-case letters, digits and underscores."
        )
    tiny = dict(tiny or {})

    def add(builder: Callable) -> Callable:
        arguments = tuple(inspect.signature(builder).parameters)
        if arguments[: len(COMMON_ARGUMENTS)] != COMMON_ARGUMENTS:
            raise ValueError(
                f"The builder of {name!r} must take {COMMON_ARGUMENTS} as its first arguments, "
                f"in this order; it takes {arguments}."
            )
        options = arguments[len(COMMON_ARGUMENTS) :]
        unknown = sorted({*variant, *tiny} - {*arguments})
        if unknown:
            raise ValueError(f"{unknown} are no arguments of the builder of {name!r}: {options}.")
        if name in _entries:
            raise ValueError(
                f"name={name!r} is registered already, by {_entries[name].builder.__module__}."
            )
        info = ModelInfo(
            name=name,
            task=task,
            family=family,
            **dataclasses.asdict(paper),
            input_shape=tuple(input_shape),
            num_classes=num_classes,
            reference_params=reference_params,
            reference_gmacs=reference_gmacs,
            reference=reference,
            variant=types.MappingProxyType(variant),
            tiny=types.MappingProxyType(tiny),
            options=options,
        )
        _entries[name] = _Entry(info, builder, pyramid)
        return builder

    return add


@functools.cache
def _load_families() -> None:
    """Imports every module below `vislearn.models`, each of which registers its own."""
    package = importlib.import_module("vislearn.models")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def _entry(name: str) -> _Entry:
    _load_families()
    if name not in _entries:
        near = difflib.get_close_matches(str(name), _entries, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See list_models()."
        raise ValueError(f"There is no model name={name!r}. {hint}")
    return _entries[name]


def _natural_order(name: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def list_models(
    task: str | None = None, family: str | None = None, pattern: str | None = None
) -> list[str]:
    """Names of the registered models in natural order (`resnet18` before `resnet101`).

    Args:
        task: Only models for this task, such as `"classification"`.
        family: Only models of this family, such as `"resnet"`.
        pattern: Only names that match this shell-style pattern, such as `"resnet*_cifar"`.

    Raises:
        ValueError: If no registered model has this task or family.
    """
    _load_families()
    for argument, value in (("task", task), ("family", family)):
        known = sorted({getattr(entry.info, argument) for entry in _entries.values()})
        if value is not None and value not in known:
            raise ValueError(f"There is no model with {argument}={value!r}; there are {known}.")
    names = (
        name
        for name, entry in _entries.items()
        if task in (None, entry.info.task)
        and family in (None, entry.info.family)
        and fnmatch.fnmatchcase(name, pattern or "*")
    )
    return sorted(names, key=_natural_order)


def model_info(name: str) -> ModelInfo:
    """The facts about a registered model.

    Raises:
        ValueError: If there is no such model; the message suggests the nearest names.
    """
    return _entry(name).info


def create_model(
    name: str,
    /,
    *,
    input_shape: tuple[int, ...] | None = None,
    num_classes: int | None = None,
    weights: str | None = None,
    **options,
):
    """Builds a registered model.

    Args:
        name: Registry name; see `list_models`.
        input_shape: `(height, width, channels)`; None for the published one. Pixels are expected
            in 0..255: the model scales them itself.
        num_classes: Number of classes, 0 to leave the head off and return the pooled features
            `(batch, features)`; None for the published number.
        weights: `"imagenet"` for the published weights; or a file: `.keras` or `.weights.h5` that
            `save` or `save_weights` of a model of ours wrote, `.h5` of keras.applications,
            `.safetensors` of torchvision or timm; None for random weights. The preprocessing and
            the options follow the weights unless they are given here. Where `num_classes` is
            given and the file has another number, the head keeps random weights.
        **options: Further arguments of the family's builder: `classifier_activation` (None gives
            logits), `preprocessing`, `name` (of the Keras model), and those of
            `model_info(name).options`.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        `(batch, num_classes)`.

    Raises:
        ValueError: If the name is unknown, or an argument is unknown or has a value that the
            architecture can't be built with.
            If the weights don't fit.
        FileNotFoundError: If `weights` is no file.
    """
    entry = _entry(name)
    info = entry.info
    allowed = {*COMMON_ARGUMENTS, *info.options}
    for option, value in options.items():
        if option not in allowed:
            raise ValueError(
                f"{name} takes no option {option}={value!r}; it takes {sorted(allowed)}."
            )
    input_shape = _checked_input_shape(info.input_shape if input_shape is None else input_shape)
    new_head = num_classes is not None
    num_classes = num_classes if new_head else info.num_classes
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 0:
        raise ValueError(f"num_classes={num_classes!r} must be an integer of at least 0.")

    def build(**expected):
        """Builds with what the weights expect, unless the caller wants something else."""
        arguments = {"name": name, **info.variant, **expected, **options}
        try:
            return entry.builder(input_shape=input_shape, num_classes=num_classes, **arguments)
        except ValueError as error:
            raise ValueError(
                f"{name} can't be built with input_shape={input_shape}: {error}"
            ) from error

    if weights is None:
        return build()
    from vislearn.weights import build_with_weights

    model, _ = build_with_weights(info, build, str(weights), new_head=new_head)
    return model


def _checked_input_shape(input_shape) -> tuple[int, ...]:
    shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else None
    if shape is None or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"input_shape={input_shape!r} must be a tuple of positive integers, "
            "such as (height, width, channels) = (224, 224, 3)."
        )
    return shape


def _stages(model, levels) -> dict:
    """The endpoints `C1`, `C2`, ... that a network with stages has of itself."""
    available = [layer.name for layer in model.layers if re.fullmatch(r"C\d", layer.name)]
    check_levels(levels, available, model.name)
    return {level: model.get_layer(level).output for level in levels}


def check_levels(levels, available, name: str) -> None:
    """Raises ValueError unless there are levels and the model has them all."""
    if not levels or any(level not in available for level in levels):
        raise ValueError(f"levels={levels!r}: {name} has the levels {list(available)}.")


def create_backbone(
    name: str,
    /,
    *,
    input_shape: tuple[int, ...] | None = None,
    levels: tuple[str, ...] = ("C3", "C4", "C5"),
    weights: str | None = None,
    **options,
):
    """Builds a registered model without its head, as a feature extractor for dense tasks.

    Args:
        name: Registry name of a model with stages, or of a transformer whose family makes feature
            maps of other strides from the last one. The layers that make them are new: `weights`
            are those of the classifier and hold none for them.
        input_shape: `(height, width, channels)`; None for the published one.
        levels: Endpoints to return, where `C3` is the last feature map of stride 2^3.
        weights: As for `create_model`, of the model with `num_classes=0`.
        **options: As for `create_model`.

    Returns:
        A functional `keras.Model` from the image batch to a dictionary
        `{level: (batch, height / stride, width / stride, channels)}`.

    Raises:
        ValueError: As for `create_model`, or if the model has no such level.
    """
    import keras

    model = create_model(name, input_shape=input_shape, num_classes=0, weights=weights, **options)
    pyramid = _entry(name).pyramid or _stages
    outputs = pyramid(model, levels)
    return keras.Model(model.input, outputs, name=f"{model.name}_backbone")
