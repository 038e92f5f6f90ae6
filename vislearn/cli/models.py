"""`vislearn models`."""

import dataclasses
import json
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras


@app.command()
def models(
    pattern: Annotated[
        str | None, typer.Argument(help="A name, or a pattern such as 'resnet*_cifar'.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Only for this task: classification, regression, detection, "
            "semantic_segmentation or generation."
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only of this family, such as vit.")] = None,
    most: Annotated[
        float | None, typer.Option("--max-params", help="Only up to so many million parameters.")
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Only those with published ImageNet weights.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the registered models, or describe the one that is named.

    With their papers' input, parameters and multiply-adds; one model also by stages.

    vislearn models --weights --max-params 10

    vislearn models 'resnet*' --task classification

    vislearn models mobilenet_v2
    """
    load_keras()
    from vislearn import tables
    from vislearn.catalogue import facts, stages
    from vislearn.registry import list_models, model_info

    if pattern is not None and not set("*?[") & set(pattern):
        model_info(pattern)  # Says what is near where there is no such model.
    found = [facts(name) for name in list_models(task, family, pattern)]
    if most is not None:
        found = [row for row in found if row["parameters"] <= most * 1e6]
    if weights:
        found = [row for row in found if row["weights"]]
    one = len(found) == 1 and pattern == found[0]["name"]
    if as_json:
        if one:
            found[0]["stages"] = [dataclasses.asdict(stage) for stage in stages(pattern)]
        typer.echo(json.dumps(found, indent=2))
    elif one:
        tables.print_model(found[0], stages(pattern))
    else:
        tables.print_models(found)
