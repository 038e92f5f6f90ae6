"""What the registered models are, in numbers: for `vislearn models`, the docs and the tests."""

import dataclasses
import functools
import json
import re
from importlib import resources
from typing import Any

from vislearn.registry import create_model, list_models, model_info

COUNTS = "counts.json"


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a model costs at its published size.

    Attributes:
        parameters: Trainable weights and batch-norm statistics.
        multiply_adds: Of one forward pass for one image.
    """

    parameters: int
    multiply_adds: int


@dataclasses.dataclass(frozen=True)
class Stage:
    """Layers of a model that belong together by name: `stem`, `stage2`, `head`.

    Attributes:
        name: What the names of the layers begin with.
        layers: How many layers.
        output_shape: Of the last of them, without the batch.
        parameters, multiply_adds: Of all of them.
    """

    name: str
    layers: int
    output_shape: tuple
    parameters: int
    multiply_adds: int


@functools.cache
def _stored() -> dict[str, dict[str, int]]:
    return json.loads(resources.files("vislearn").joinpath(COUNTS).read_text())


def counts(name: str) -> Counts:
    """The counts of a model, as `python -m vislearn.catalogue` stored them; else it is counted now.

    Raises:
        ValueError: If there is no such model.
    """
    model_info(name)
    stored = _stored().get(name)
    return counted(name) if stored is None else Counts(**stored)


def build_shapes(name: str, **arguments):
    """A model with shapes but without values, of any size in seconds and without memory.

    In a stateless scope Keras notes how each variable would be initialised and makes no array.
    """
    import keras

    with keras.StatelessScope(initialize_variables=False):
        model = create_model(name, **arguments)
    # Or else the next scope that ends would make all the arrays.
    keras.utils.clear_session(free_memory=False)
    return model


def counted(name: str) -> Counts:
    """The counts of a model, taken from the network."""
    from vislearn.multiply_adds import count_multiply_adds

    model = build_shapes(name)
    return Counts(model.count_params(), count_multiply_adds(model))


def stages(name: str) -> list[Stage]:
    """The stages of a model at its published size, from the pixels on."""
    from vislearn.multiply_adds import multiply_adds_by_layer

    model = build_shapes(name)
    work = multiply_adds_by_layer(model)
    groups: dict[str, list] = {}
    for layer in model.layers:
        # An endpoint such as C3 belongs to what comes before.
        endpoint = re.fullmatch(r"[A-Z]\d", layer.name) and groups
        group = list(groups)[-1] if endpoint else layer.name.partition("_")[0]
        groups.setdefault(group, []).append(layer)
    return [
        Stage(
            name=group,
            layers=len(members),
            output_shape=_shape(members[-1].output),
            parameters=sum(layer.count_params() for layer in members),
            multiply_adds=sum(work.get(layer.name, 0) for layer in members),
        )
        for group, members in groups.items()
    ]


def _shape(output) -> tuple:
    import keras

    return keras.tree.flatten(output)[-1].shape[1:]


def facts(name: str) -> dict[str, Any]:
    """Everything that is known about a model, ready for JSON."""
    from vislearn.weights import published

    info = model_info(name)
    found = dataclasses.asdict(counts(name))
    file = published(info.family).get(name)
    fields = ("name", "task", "family", "title", "authors", "year", "url")
    return {
        **{field: getattr(info, field) for field in fields},
        "input_shape": info.input_shape,
        "num_classes": info.num_classes,
        **found,
        "reference": info.reference,
        "weights": None if file is None else f"{file.library} {file.model}",
        "variant": dict(info.variant),
        "options": info.options,
    }


def main() -> None:
    """Stores the counts of every registered model."""
    table = {name: dataclasses.asdict(counted(name)) for name in list_models()}
    path = resources.files("vislearn").joinpath(COUNTS)
    path.write_text(json.dumps(table, indent=1) + "\n")
    print(f"{len(table)} models in {path}")


if __name__ == "__main__":
    main()
