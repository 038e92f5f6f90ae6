"""Options of the commands that train several runs, and what they make of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vislearn.cli.base import parse_image_size, parse_values, recipe_fields

PrecisionOption = Annotated[str | None, typer.Option(help="float32 or mixed_bfloat16.")]
SeedOption = Annotated[int | None, typer.Option(help="Of each training; 0 by default.")]


def training_arguments(
    *,
    epochs: int | None,
    image_size: str | None,
    precision: str | None,
    seed: int | None,
    weights: str | None,
    tune: str | None,
    option: list[str] | None,
    recipe: list[str] | None,
    data_dir: Path | None,
) -> dict[str, Any]:
    """The arguments of `vislearn.training.train` that were given."""
    given = {
        "image_size": parse_image_size(image_size),
        "precision": precision,
        "seed": seed,
        "weights": weights,
        "tune": tune,
        "options": parse_values(option or []) or None,
        "data_options": None if data_dir is None else {"data_dir": str(data_dir)},
    }
    given = {name: value for name, value in given.items() if value is not None}
    return given | recipe_fields(recipe, epochs=epochs)
