"""What is done to the images of a data set, as a value: in Python, as a dictionary, in a file."""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vislearn.data.augmentation.operations import OPERATIONS, Operation
from vislearn.data.augmentation.rules import Rule, between, check_fields, one_of, setting

Example = dict[str, Any]

# What carries it out, each a module with `apply(augmentation, example) -> example`.
ENGINES = {
    "native": "vislearn.data.augmentation.native",
    "albumentations": "vislearn.data.engines.albumentations",
    "keras": "vislearn.data.engines.keras",
}
FILLS = ("constant", "nearest", "reflect", "wrap")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Operations in their order; each image of a batch draws its own, from `example["seed"]` alone.

    To be passed as `augment` of `load_dataset`, or called with a dictionary of tensors: `images`
    `(batch, height, width, channels)` of 0..255 and any type, `seed` `(2,)` integers, and any of
    the annotations of `Dataset.arrays`. Images keep their shape and type, and annotations move
    with the pixels; what happens at the edges stands in `geometry`.

    Attributes:
        operations: What is done, in this order.
        fill: What is seen of the outside where an image is moved: `"constant"` a colour,
            `"nearest"` the border's pixels (aaa|abc|ccc), `"reflect"` the image mirrored
            (cba|abc|cba), `"wrap"` its other side (abc|abc|abc). With boxes, `"reflect"` and
            `"wrap"` are refused: they show objects a second time, without their annotation.
        fill_value: The colour, 0 to 255; 114 is the mean of natural images.
        engine: What carries it out: `"native"`, `"albumentations"` or `"keras"`.

    Raises:
        ValueError: If a value is out of range.
    """

    operations: tuple[Operation, ...] = setting(
        (),
        Rule(
            "operations, such as (Flip(), Rotate())",
            lambda v: isinstance(v, tuple) and all(isinstance(item, Operation) for item in v),
        ),
    )
    fill: str = setting("constant", one_of(*FILLS))
    fill_value: float = setting(114.0, between(0, 255))
    engine: str = setting("native", one_of(*ENGINES))

    def __post_init__(self):
        check_fields(self)

    @property
    def mixes(self) -> bool:
        """Whether images are put together, so that labels have to be distributions."""
        return any(operation.mixes for operation in self.operations)

    def __call__(self, example: Example) -> Example:
        return _engine(self.engine)(self, example)

    def to_dict(self) -> dict[str, Any]:
        """As JSON and YAML can write it; `from_dict` reads it."""
        operations = [{item.key(): _told(item)} for item in self.operations]
        settings = {name: getattr(self, name) for name in ("engine", "fill", "fill_value")}
        return {**settings, "operations": operations}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Augmentation":
        """Reads `{"operations": [{"rotate": {"angle": 0.2}}, "flip", ...], "fill": ...}`.

        Raises:
            ValueError: If a name is unknown or a value unfit.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, dict) or (values.keys() - set(names)):
            raise ValueError(
                f"augment={values!r} must be a table of some of {names}: operations is a list such "
                'as [{"flip": {}}, {"rotate": {"angle": 0.2}}].'
            )
        operations = values.get("operations") or ()
        if not isinstance(operations, list | tuple):
            raise ValueError(f"operations={operations!r} must be a list.")
        return cls(**{**values, "operations": tuple(map(_operation, operations))})

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Augmentation":
        """Reads a YAML file of what `from_dict` reads.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no YAML, or something in it is unfit.
        """
        import yaml

        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            return cls.from_dict(values)
        except (yaml.YAMLError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    def to_yaml(self) -> str:
        """The text of a file that `from_yaml` reads."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False)


@functools.cache  # Also hides the import from AutoGraph, which would warn of it.
def _engine(name: str) -> Callable[[Augmentation, Example], Example]:
    return importlib.import_module(ENGINES[name]).apply


def _operation(entry: Any) -> Operation:
    """From `{"rotate": {"angle": 0.2}}`, `{"rotate": None}` or `"rotate"`."""
    named = {entry: {}} if isinstance(entry, str) else entry
    if not isinstance(named, dict) or len(named) != 1:
        raise ValueError(f"operations: {entry!r} must be one operation, such as {{'flip': {{}}}}.")
    ((name, settings),) = named.items()
    if name not in OPERATIONS:
        raise ValueError(f"operations: {name!r} must be one of {[*OPERATIONS]}.")
    fields = [field.name for field in dataclasses.fields(OPERATIONS[name])]
    settings = {} if settings is None else settings
    if not isinstance(settings, dict) or (settings.keys() - set(fields)):
        raise ValueError(f"{name}: {settings!r} must be a table of some of {fields}.")
    try:
        return OPERATIONS[name](**settings)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _told(operation: Operation) -> dict[str, Any]:
    """Its fields; those that are None say nothing."""
    fields = dataclasses.asdict(operation).items()
    return {name: _plain(value) for name, value in fields if value is not None}


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [*map(_plain, value)] if isinstance(value, list | tuple) else value
