"""`vislearn experiment`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="Name of an experiment, or 'list', or 'all'.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="A small version, in seconds; says what it can't check.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run, by default runs/experiments/NAME; for 'all' the folder that "
            "holds a folder for each."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder with data sets: prepared by TFDS, or mnist/ or cifar10/ with train/ and "
            "test/ of class folders."
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute stored steps, or finished runs, anew.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a claim of the course, and say whether it held.

    Leaves result.json, pictures and report.html. A run that was stopped goes on where it was.

    vislearn experiment list

    vislearn experiment gradient_descent

    vislearn experiment knn_cross_validation --data-dir data

    vislearn experiment all --quick --out runs/quick
    """
    load_keras()
    from vislearn.experiments.harness import list_experiments

    if name == "list":
        _print_list(list_experiments(), as_json)
    elif name == "all":
        without_data = []
        for one in list_experiments():
            folder = None if out is None else out / one.name
            try:
                _run(one.name, folder, quick, seed, data_dir, fresh, as_json, skip_finished=True)
            except FileNotFoundError as error:  # The others may have theirs.
                without_data.append(f"{one.name}: {error}")
        if without_data:
            raise FileNotFoundError("\n".join(["Data was missing.", *without_data]))
    else:
        _run(name, out, quick, seed, data_dir, fresh, as_json)


def _run(name, out, quick, seed, data_dir, fresh, as_json, skip_finished=False) -> None:
    from rich.console import Console

    from vislearn.experiments.harness import default_folder, finished_result, run_experiment
    from vislearn.experiments.results import RESULT

    folder = default_folder(name, quick) if out is None else out
    console = Console(stderr=as_json)
    console.print(f"[bold]{name}[/bold]")
    settings = {"quick": quick, "seed": seed, "data_dir": data_dir}
    result = None
    if skip_finished and not fresh:
        result = finished_result(name, folder, **settings)
    if result is None:
        result = run_experiment(name, out=folder, fresh=fresh, quiet=as_json, **settings)
    if as_json:
        typer.echo((folder / RESULT).read_text(encoding="utf-8"), nl=False)
        return
    console.print(f"Claim: {result.claim}", highlight=False, markup=False)
    console.print(result.table())
    console.print(result.verdict, highlight=False, markup=False, style="bold")
    console.print(f"{result.seconds:.1f} s; report in {folder / 'report.html'}\n", highlight=False)


def _print_list(found, as_json: bool) -> None:
    import dataclasses
    import json

    from rich.console import Console
    from rich.table import Table

    if as_json:
        rows = [dataclasses.asdict(one) for one in found]
        for row in rows:
            del row["function"]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("claim", ratio=3)
    table.add_column("source", ratio=2)
    table.add_column("minutes", justify="right", no_wrap=True)
    for one in found:
        table.add_row(one.name, one.claim, one.source, f"{one.minutes:g}")
    Console(width=max(130, Console().width)).print(table)
    typer.echo(f"{len(found)} experiments; `vislearn experiment NAME` runs one.")
