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
    quantize: Annotated[
        str,
        typer.Option(
            help="Comma-separated LiteRT files in fewer bits: float16 (half the size), dynamic "
            "(weights in int8), int8 (all in int8); none for none."
        ),
    ] = "int8",
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            help="Layer that the int8 file leaves in float, or a pattern such as 'head_*'; may be "
            "repeated."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="How much of the metric a file in fewer bits may lose on the validation images, "
            "such as 0.01 for a point; of what makes pictures or codes, how far they may lie from "
            "Keras's in the mean, of 1. An int8 file that loses more is refused, and its layers "
            "are told, the worst first."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Examples a call that the files are fixed to; by default any number."),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            help="Training images for the comparison and for int8 ranges; noise is drawn."
        ),
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

    vislearn export runs/digits --out digits --budget 0.01

    vislearn export runs/digits --out phone --formats litert --quantize float16,int8 --batch 1

    vislearn export runs/cells --out cells --budget 0.01 --keep-float 'head_*'
    """
    from rich.console import Console

    from vislearn.commands import export_run

    load_keras()
    directory = out or run / "package"
    reports = export_run(
        run,
        directory,
        formats=split_names(formats),
        quantize=() if quantize == "none" else split_names(quantize),
        keep_float=keep_float or (),
        budget=budget,
        batch=batch,
        samples=samples,
        overwrite=overwrite,
        task_options=parse_values(task_option or [], "--task-option"),
    )
    for report in reports:
        Console().print(report.table())
        typer.echo(f"Package in {report.directory}")
