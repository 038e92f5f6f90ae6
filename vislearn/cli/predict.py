"""`vislearn predict` and `vislearn generate`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app


@app.command()
def predict(
    package: Annotated[Path, typer.Argument(help="Folder of an exported package.")],
    images: Annotated[
        list[Path] | None, typer.Argument(help="Image files, or folders of them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Picture with the images and their answers (.png, .svg).")
    ] = None,
    format: Annotated[
        str, typer.Option(help="litert, litert_int8, onnx or another of the package.")
    ] = "litert",
    top: Annotated[int, typer.Option(help="Answers an image.")] = 3,
    data: Annotated[
        str | None, typer.Option(help="Take annotated images from this data set's test split.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many images of --data.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line an image.")] = False,
) -> None:
    """Run an exported package on images, and draw the answers."""
    from vislearn.commands import predict_images

    predict_images(
        package,
        images or [],
        out=out,
        format=format,
        top=top,
        data=data,
        count=count,
        as_json=as_json,
    )


@app.command()
def generate(
    package: Annotated[Path, typer.Argument(help="Folder of an exported package or export.")],
    out: Annotated[Path, typer.Option(help="Picture to write (.png, .svg).")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pictures.")] = 0,
    label: Annotated[
        str | None, typer.Option(help="Class of all pictures, where the network knows classes.")
    ] = None,
    format: Annotated[str, typer.Option(help="litert, onnx or savedmodel.")] = "litert",
) -> None:
    """Make pictures with an exported generator, decoder or sampler."""
    from vislearn import pictures
    from vislearn.export.generation import package_pictures

    pictures.check_suffix(out)
    images = package_pictures(package, count=count, seed=seed, label=label, format=format)
    pictures.save(pictures.image_grid(images), out)
    typer.echo(f"Picture in {out}")
