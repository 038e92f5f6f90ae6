"""`vislearn predict-batch`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app


@app.command(context_settings={"allow_extra_args": True})
def predict_batch(
    context: typer.Context,
    package: Annotated[Path, typer.Argument(help="Folder of an exported package.")],
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            help="Images or TFRecord files: a folder, or a pattern in quotes such as "
            "'photos/**.jpg'; may be repeated.",
        ),
    ],
    output: Annotated[str, typer.Option(help="Folder of the answers.")],
    format: Annotated[str, typer.Option(help="parquet or tfrecord.")] = "parquet",
    runtime: Annotated[
        str, typer.Option(help="litert, litert_int8, onnx or savedmodel.")
    ] = "litert",
    batch_size: Annotated[int, typer.Option(help="Images that are run at a time.")] = 64,
    shard_size: Annotated[
        int, typer.Option(help="Image files a shard; a TFRecord file is a shard.")
    ] = 1024,
    threads: Annotated[
        int | None, typer.Option(help="Threads a worker; one where not given. Not of savedmodel.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, with the DirectRunner.")] = 1,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest file of an image.")] = 32,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Largest width times height.")] = 100,
    runner: Annotated[
        str, typer.Option(help="DirectRunner, FlinkRunner, SparkRunner, DataflowRunner ...")
    ] = "DirectRunner",
) -> None:
    """Answer many images with an exported package, on one machine or on many.

    Writes shards of answers, and beside them what could not be answered and why.

    Interrupted, it is continued by the same command: finished shards are skipped.

    vislearn predict-batch saved_models/digits --input 'scans/**.png' --output answers --workers 2

    vislearn predict-batch saved_models/digits --input 'gs://bucket/scans-*.tfrecord'
    --output gs://bucket/answers --runner FlinkRunner -- --flink_master=localhost:8081

    What comes after -- goes to Beam and its runner.
    """
    import logging

    if context.args and not context.args[0].startswith("-"):
        raise ValueError(
            f"{context.args[0]!r} belongs to no option: put a pattern in quotes, or repeat "
            "--input; options of Beam come after --."
        )
    from rich.console import Console
    from rich.table import Table

    from vislearn.export.quiet import quiet

    logging.getLogger().setLevel(logging.ERROR)  # Beam tells of each package that it misses.
    try:
        with quiet():
            from vislearn_batch import predict_batch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: pip install 'vislearn[batch]'.") from error

    summary = predict_batch(
        package,
        inputs,
        output,
        format=format,
        runtime=runtime,
        batch_size=batch_size,
        shard_size=shard_size,
        threads=threads,
        workers=workers,
        max_bytes=max_megabytes << 20,
        max_pixels=max_megapixels * 1_000_000,
        runner=runner,
        options=context.args,
    )
    table = Table("", "records", box=None)
    table.add_row("answered", f"{summary.answered:,}")
    for kind, number in summary.dead.items():
        table.add_row(kind.replace("_", " "), f"{number:,}")
    Console().print(table)
    rate = summary.answered_now / summary.seconds if summary.answered_now else 0
    typer.echo(
        f"{summary.answered_now:,} now, {rate:,.0f} images/s; {summary.shards} shards in {output}"
    )
