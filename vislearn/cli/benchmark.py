"""`vislearn benchmark`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras, parse_counts, split_names


@app.command()
def benchmark(
    package: Annotated[Path, typer.Argument(help="Folder of an exported package.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set on whose images the metrics are measured, as for evaluate; without it "
            "only speed is, on random images."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="test, validation, train or all; by default test if there is one.")
    ] = "",
    limit: Annotated[int | None, typer.Option(help="Only so many images.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where TFDS data sets are prepared.")
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Comma-separated; by default all of the package, and torch (the same architecture "
            "in torchvision or timm) where it is installed.",
        ),
    ] = "",
    threads: Annotated[str, typer.Option(help="Comma-separated numbers of threads.")] = "1,2",
    batches: Annotated[str, typer.Option(help="Comma-separated numbers of images a call.")] = (
        "1,8,32"
    ),
    seconds: Annotated[float, typer.Option(help="How long each batch is called.")] = 1.0,
    out: Annotated[
        Path | None, typer.Option(help="Picture of the figures to write (.png, .svg).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what each file of a package costs, and what it still knows.

    Size, start and loading, latency (p50 and p95), throughput and memory, each in a process of its
    own that loads nothing but the file's runtime; and the task's metrics on annotated images.

    vislearn benchmark saved_models/digits --data digits --out benchmark.png

    vislearn benchmark saved_models/digits --format litert,onnx --threads 1 --batches 1,64
    """
    from vislearn.commands import benchmark_target

    if out is not None:
        from vislearn import pictures

        pictures.check_suffix(out)
    load_keras()
    found = benchmark_target(
        package,
        data,
        split=split or None,
        limit=limit,
        data_dir=data_dir,
        formats=split_names(formats) or None,
        threads=parse_counts(threads, "--threads"),
        batches=parse_counts(batches, "--batches"),
        seconds=seconds,
    )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        from rich.console import Console

        Console(width=max(120, Console().width)).print(found.table())
    if out is not None:
        pictures.save(found.figure(), out)
        if not as_json:
            typer.echo(f"Picture in {out}")
