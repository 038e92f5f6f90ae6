"""`vislearn serve`."""

import math
from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, parse_counts


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(help="Folder of exported packages, or one package.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 for a free one, which the log tells.")
    ] = 8080,
    format: Annotated[
        str, typer.Option(help="litert, litert_int8, onnx or savedmodel.")
    ] = "litert",
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of one batch; by default all cores but one, at most four."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Batches of a model that run at a time.")] = 1,
    batch_sizes: Annotated[
        str, typer.Option(help="Numbers of examples that are run at a time, each at most 4096.")
    ] = "1,2,4,8,16,32",
    queue: Annotated[int, typer.Option(help="Examples that may wait for a model.")] = 256,
    deadline: Annotated[float, typer.Option(help="Seconds from a request to its answer.")] = 30.0,
    max_body: Annotated[float, typer.Option(help="Largest body, in MB.")] = 16.0,
    max_pixels: Annotated[
        float, typer.Option(help="Most pixels of a request's pictures, in millions.")
    ] = 25.0,
    max_requests: Annotated[int, typer.Option(help="Requests that are worked on at a time.")] = 256,
    max_held: Annotated[
        float, typer.Option(help="What all requests may hold in memory at a time, in MB.")
    ] = 256.0,
    poll: Annotated[float, typer.Option(help="Seconds between two looks into the folder.")] = 2.0,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="VISLEARN_API_KEY",
            help="What requests must bring; better set in the environment, which others can't see.",
        ),
    ] = None,
) -> None:
    """Serve exported packages over HTTP, with a page to drop pictures on.

    Pictures as they are go to /answer/NAME. TensorFlow Serving's REST interface
    is at /v1/models/NAME, the Open Inference Protocol at /v2/models/NAME.

    Served is FOLDER/NAME/model.json or FOLDER/NAME/VERSION/model.json; what
    changes there is reloaded.

    vislearn serve saved_models

    curl --data-binary @photo.jpg localhost:8080/answer/digits

    VISLEARN_API_KEY=secret vislearn serve saved_models --host 0.0.0.0
    """
    try:
        from vislearn_serve.server import serve as run
        from vislearn_serve.settings import Settings
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: pip install 'vislearn[serve]'.") from error

    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder.")
    settings = Settings(
        folder,
        format=format,
        threads=threads,
        workers=workers,
        batch_sizes=parse_counts(batch_sizes, "--batch-sizes"),
        queue=queue,
        deadline=_finite(deadline, "--deadline"),
        max_body=int(_finite(max_body, "--max-body", 2**20)),
        max_pixels=int(_finite(max_pixels, "--max-pixels", 1e6)),
        max_requests=max_requests,
        max_held=int(_finite(max_held, "--max-held", 2**20)),
        poll=_finite(poll, "--poll"),
        api_key=api_key,
    )
    run(settings, host, port)


def _finite(value: float, flag: str, unit: float = 1.0) -> float:
    """The value of an option in another unit.

    Raises:
        ValueError: If it is NaN or infinity, or too large for a number.
    """
    if not math.isfinite(value * unit):
        raise ValueError(f"{flag} {value} must be a finite number.")
    return value * unit
