"""`vislearn ensemble`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras


@app.command()
def ensemble(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder of the new run; must not exist yet.")],
) -> None:
    """Average the answers of several trained networks in one model.

    Of classifiers the distributions are averaged, of regression the values. What comes out is a
    run, which export, evaluate and predict take like any other.

    vislearn ensemble runs/seed0 runs/seed1 runs/seed2 --out runs/three

    vislearn export runs/three --out saved_models/three
    """
    load_keras()
    from vislearn.selection import ensemble as make_ensemble

    make_ensemble(runs, out=out)
    typer.echo(f"Run in {out} (members.json, members.png)")
