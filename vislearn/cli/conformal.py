"""`vislearn conformal`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras


@app.command()
def conformal(
    run: Annotated[Path, typer.Argument(help="Folder of a classifier's run, or of an ensemble.")],
    coverage: Annotated[
        float, typer.Option(help="Probability with which a set shall hold the true class.")
    ] = 0.9,
    method: Annotated[
        str,
        typer.Option(
            help="aps: sets grow with the difficulty of the image and are never empty; lac: the "
            "smallest sets on average."
        ),
    ] = "aps",
    out: Annotated[
        Path | None, typer.Option(help="The JSON; by default RUN/conformal_METHOD.json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer with sets of classes that hold the true one with a stated probability.

    Calibrated on the validation images, measured on the test images. Leaves JSON and a picture.

    vislearn conformal runs/digits --coverage 0.95

    vislearn conformal runs/digits --coverage 0.9 --method lac --json
    """
    from rich.console import Console
    from rich.table import Table

    load_keras()
    from vislearn.selection import conformal as calibrate_run

    found = calibrate_run(run, coverage=coverage, method=method, out=out)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    test = found["test"]
    table = Table("class", box=None)
    for head in ("images", "coverage", "mean size"):
        table.add_column(head, justify="right")
    for name, row in [*test["classes"].items(), ("all", test)]:
        figures = [row["coverage"], row["mean_size"]]
        texts = ["-" if value is None else f"{value:.3f}" for value in figures]
        table.add_row(name, f"{row['images']:,}", *texts)
    Console().print(table)
    sizes = ", ".join(f"{count:,} of {size}" for size, count in test["sizes"].items())
    typer.echo(
        f"{method}, coverage {coverage:g} asked for: threshold {found['threshold']:.4f} from "
        f"{found['images']:,} validation images. Sets by number of classes: {sizes}."
    )
