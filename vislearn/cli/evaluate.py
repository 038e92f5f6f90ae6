"""`vislearn evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import DataOption, app, load_keras, split_names

FORMATS = (
    *("keras", "savedmodel", "litert", "litert_float16", "litert_dynamic", "litert_int8", "onnx"),
)


@app.command()
def evaluate(
    targets: Annotated[list[Path], typer.Argument(help="Packages and training runs.")],
    data: DataOption,
    split: Annotated[
        str, typer.Option(help="test, validation, train or all; by default test if there is one.")
    ] = "",
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated, of: " + ", ".join(FORMATS))
    ] = "",
    limit: Annotated[int | None, typer.Option(help="Only the first so many images.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where TFDS data sets are prepared.")
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            help="Run of a classifier of the same data, to judge the pictures that the targets "
            "make from noise."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures to be judged.")] = 1000,
    monte_carlo: Annotated[
        int | None,
        typer.Option(
            help="Answers to each image with dropout on, to measure how sure the classifiers of "
            "training runs are; 30 do."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of that noise, and of dropout.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure metrics, size and latency of each format on a data set.

    With --judge: the confidence of a classifier in generated pictures, their classes, their
    Fréchet and kernel distances from real ones, and whether they are copies.

    With --monte-carlo: the accuracy of the mean of many answers, and their doubt, as entropy and as
    what of it more training images could settle (mutual information):

    vislearn evaluate runs/digits --data digits --monte-carlo 30
    """
    from vislearn.commands import evaluate_targets, evaluation_table

    load_keras()
    if judge is not None:
        _print_verdicts(targets, data, judge, count, seed, data_dir, as_json)
        return
    if monte_carlo is not None:
        _print_uncertainty(
            targets,
            data,
            samples=monte_carlo,
            seed=seed,
            split=split or None,
            limit=limit,
            data_dir=data_dir,
            as_json=as_json,
        )
        return
    wanted = split_names(formats)
    if unknown := sorted({*wanted} - {*FORMATS}):
        raise ValueError(f"--format {unknown} must be of {FORMATS}.")
    rows = evaluate_targets(
        targets, data, split=split or None, formats=wanted, limit=limit, data_dir=data_dir
    )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        from rich.console import Console

        Console().print(evaluation_table(rows))


def _print_verdicts(targets, data, judge, count, seed, data_dir, as_json) -> None:
    import dataclasses

    from rich.console import Console

    from vislearn.judging import judge_targets, verdict_table

    verdicts = judge_targets(targets, data, judge, count=count, seed=seed, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(verdict) for verdict in verdicts], indent=2))
    else:
        Console().print(verdict_table(verdicts))


def _print_uncertainty(targets, data, *, as_json, **options) -> None:
    from rich.console import Console

    from vislearn.commands import measure_uncertainty, uncertainty_table

    rows = measure_uncertainty(targets, data, **options)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        Console().print(uncertainty_table(rows))
