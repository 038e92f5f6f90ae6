"""`vislearn inspect`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app


@app.command()
def inspect(
    package: Annotated[Path, typer.Argument(help="Folder of an exported package.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a package takes and answers, and check every file against its sha256.

    Nothing of the package is run. The status is 1 if a file is missing, damaged or not listed.

    vislearn inspect saved_models/digits

    vislearn inspect saved_models/digits --json
    """
    from vislearn.export.inspection import inspect_package, print_inspection

    found = inspect_package(package)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        print_inspection(found)
    if found.problems:
        raise ValueError(f"{package} is not as it was exported: {'; '.join(found.problems)}.")
