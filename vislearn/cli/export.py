"""`vislearn export`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras, parse_values, split_names


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the package; by default RUN/package.")
    ] = None,
    formats: Annotated[
        str, typer.Option(help="Comma-separated: savedmodel, litert, onnx.")
    ] = "savedmodel,litert,onnx",
    int8: Annotated[bool, typer.Option(help="Also an int8 LiteRT file.")] = True,
    samples: Annotated[
        int, typer.Option(help="Training images for the comparison and for int8 ranges.")
    ] = 256,
    task_option: Annotated[
        list[str] | None,
        typer.Option(help="Option of the task, such as score_threshold=0.3; may be repeated."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a package.")] = False,
) -> None:
    """Export a trained model as a package that behaves like it.

    Each file takes uint8 images and gives named answers.

    Each is run on real images and compared with Keras before success is reported.
    """
    from rich.console import Console

    from vislearn.commands import export_run

    load_keras()
    directory = out or run / "package"
    reports = export_run(
        run,
        directory,
        formats=split_names(formats),
        quantize="int8" if int8 else None,
        samples=samples,
        overwrite=overwrite,
        task_options=parse_values(task_option or [], "--task-option"),
    )
    for report in reports:
        Console().print(report.table())
        typer.echo(f"Package in {report.directory}")
