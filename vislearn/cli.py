"""The command line. Nothing heavy is imported before a command needs it."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vislearn import __version__

app = typer.Typer(
    name="vislearn",
    help="Deep learning on images in Keras: from a folder of images to a checked export.\n\n"
    "A first session:\n\n"
    "  vislearn train resnet20_cifar --data digits --out runs/digits --epochs 10\n\n"
    "  vislearn export runs/digits --out saved_models/digits\n\n"
    "  vislearn predict saved_models/digits photo.png --out picture.png\n\n"
    "From published weights, where there are few images:\n\n"
    "  vislearn train resnet50 --data photos --out runs/photos --weights imagenet --tune head",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="A folder with a folder a class (or with train/ and test/ or val/ of such), with "
        "targets.csv for regression, of COCO, Pascal VOC or masks; 'digits' or 'shapes', which "
        "are built in; or a TFDS name such as 'mnist'.",
    ),
]
FORMATS = ("keras", "savedmodel", "litert", "litert_int8", "onnx")


def main() -> None:
    """Runs the command line; what a user can mend is told in a line, without a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    debug = bool(os.environ.get("VISLEARN_DEBUG"))
    try:
        app()
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if debug:
            raise
        from rich.console import Console

        console = Console(stderr=True)
        console.print(
            f"[bold red]Error:[/bold red] {_plain(error)}", highlight=False, soft_wrap=True
        )
        console.print("(VISLEARN_DEBUG=1 shows where it happened.)", style="dim")
        sys.exit(1)


def _plain(error: Exception) -> str:
    from rich.markup import escape

    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return escape(f"{error.strerror}{where}")
    return escape(str(error) or type(error).__name__)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vislearn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    del version  # Its callback has done the work.


def _load_keras() -> None:
    """Imports Keras and its backend without what they write to the terminal while they load."""
    from vislearn.export.quiet import quiet

    with quiet():
        from vislearn import backend

        backend.describe()  # Finds the devices, which TensorFlow also writes about.


def _values(pairs: list[str], flag: str = "--option") -> dict[str, Any]:
    """`["depth=8", "dropout=0.5", "name=a"]` to a dictionary; values are JSON where they parse."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"{flag} {pair!r} must have the form name=value.")
        try:
            found[name] = json.loads(text.lower() if text in ("True", "False") else text)
        except json.JSONDecodeError:
            found[name] = text
    return found


def _image_size(text: str | None) -> int | tuple[int, int] | None:
    """`"96"` to 96, `"240x320"` to (240, 320)."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ValueError(f"--image-size {text!r} must be a number, or HEIGHTxWIDTH.")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="Registry name; see `vislearn models`.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the run; must not exist yet.")],
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            help="Side in pixels, or HEIGHTxWIDTH; by default the images' own where all are "
            "equal, otherwise the model's published one."
        ),
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="one_cycle, cosine or constant.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Decoupled weight decay.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest gradient norm.")] = None,
    agc: Annotated[
        float | None,
        typer.Option(
            help="Adaptive gradient clipping: a unit's largest gradient norm as a share of its "
            "weights' norm, such as 0.08."
        ),
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="Of SGD; first beta of Adam.")] = None,
    ema: Annotated[
        float | None, typer.Option(help="Decay of the moving average of the weights; 0 for none.")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="none, crop, or standard (crop, and flip where mirroring is harmless); for boxes "
            "and masks none, flip, standard, strong."
        ),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better one.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    seed: Annotated[int, typer.Option(help="A run with a seed repeats exactly.")] = 0,
    weights: Annotated[
        str | None,
        typer.Option(
            help="What to start from: 'imagenet' (downloaded once), a file (.keras, .safetensors, "
            ".h5), or the folder of another run. A head for other classes starts anew."
        ),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            help="With --weights, what is trained: head (on features computed once; for few "
            "images like those of the weights), stages:N (the last N and the head), all (with "
            "smaller rates towards the pixels; for many images), adapters."
        ),
    ] = None,
    layer_decay: Annotated[
        float | None,
        typer.Option(
            help="Factor on the learning rate from each stage to the one before, above 0 to 1; "
            "0.7 with --tune all."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Option of the architecture, as name=value; may be repeated."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Option of what is minimised, such as beta=4; may be repeated."),
    ] = None,
    task_option: Annotated[
        list[str] | None,
        typer.Option(help="Option of the task, such as schedule=cosine; may be repeated."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where TFDS data sets are prepared.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail at the first unreadable image.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a model on a folder of images.

    What is not given comes from the recipe of the model's family.

    Leaves a run folder with the best model, its figures and report.html.

    From scratch, from published weights, and from another run:

    vislearn train resnet18 --data photos --out runs/photos --image-size 128

    vislearn train resnet50 --data photos --out runs/tuned --weights imagenet --tune stages:1

    vislearn train resnet18 --data others --out runs/others --weights runs/photos --tune head
    """
    _load_keras()
    from vislearn.training import train as run_training

    recipe = {
        name: value
        for name, value in (
            ("epochs", epochs),
            ("batch_size", batch_size),
            ("optimizer", optimizer),
            ("learning_rate", learning_rate),
            ("schedule", schedule),
            ("weight_decay", weight_decay),
            ("label_smoothing", label_smoothing),
            ("clip_norm", clip_norm),
            ("agc", agc),
            ("momentum", momentum),
            ("ema", ema),
            ("layer_decay", layer_decay),
            ("objective", _values(objective or [], "--objective") or None),
            ("augment", augment),
            ("patience", patience),
        )
        if value is not None
    }
    data_options: dict[str, Any] = {"strict": True} if strict else {}
    if data_dir is not None:
        data_options["data_dir"] = str(data_dir)
    run_training(
        model,
        data=data,
        out=out,
        image_size=_image_size(image_size),
        precision=precision,
        seed=seed,
        weights=weights,
        tune=tune,
        options=_values(option or []),
        data_options=data_options,
        task_options=_values(task_option or [], "--task-option"),
        resume=resume,
        **recipe,
    )


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

    _load_keras()
    directory = out or run / "package"
    reports = export_run(
        run,
        directory,
        formats=tuple(name.strip() for name in formats.split(",") if name.strip()),
        quantize="int8" if int8 else None,
        samples=samples,
        overwrite=overwrite,
        task_options=_values(task_option or [], "--task-option"),
    )
    for report in reports:
        Console().print(report.table())
        typer.echo(f"Package in {report.directory}")


@app.command()
def evaluate(
    targets: Annotated[list[Path], typer.Argument(help="Packages and training runs.")],
    data: DataOption,
    split: Annotated[
        str, typer.Option(help="test, validation, train or all; by default test if there is one.")
    ] = "",
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated, of: " + ", ".join(FORMATS))
    ] = "",
    limit: Annotated[int | None, typer.Option(help="Only the first so many images.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where TFDS data sets are prepared.")
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            help="Run of a classifier of the same data, to judge the pictures that the targets "
            "make from noise."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures to be judged.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the noise of these pictures.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure metrics, size and latency of each format on a data set.

    With --judge: the confidence of a classifier in generated pictures, their classes, their
    Fréchet and kernel distances from real ones, and whether they are copies.
    """
    from vislearn.commands import evaluate_targets, evaluation_table

    _load_keras()
    if judge is not None:
        _print_verdicts(targets, data, judge, count, seed, data_dir, as_json)
        return
    wanted = tuple(name.strip() for name in formats.split(",") if name.strip())
    if unknown := sorted({*wanted} - {*FORMATS}):
        raise ValueError(f"--format {unknown} must be of {FORMATS}.")
    rows = evaluate_targets(
        targets, data, split=split or None, formats=wanted, limit=limit, data_dir=data_dir
    )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        from rich.console import Console

        Console().print(evaluation_table(rows))


def _print_verdicts(targets, data, judge, count, seed, data_dir, as_json) -> None:
    import dataclasses

    from rich.console import Console

    from vislearn.judging import judge_targets, verdict_table

    verdicts = judge_targets(targets, data, judge, count=count, seed=seed, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(verdict) for verdict in verdicts], indent=2))
    else:
        Console().print(verdict_table(verdicts))


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
        str, typer.Option(help="litert, litert_int8, onnx or savedmodel.")
    ] = "litert",
    top: Annotated[int, typer.Option(help="Answers an image.")] = 3,
    data: Annotated[
        str | None, typer.Option(help="Take annotated images from this data set's test split.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many images of --data.")] = 24,
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
    count: Annotated[int, typer.Option(help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    label: Annotated[
        str | None, typer.Option(help="Class of all pictures, where the network knows classes.")
    ] = None,
    format: Annotated[str, typer.Option(help="litert, onnx or savedmodel.")] = "litert",
) -> None:
    """Make pictures with an exported generator, decoder or sampler."""
    from vislearn import pictures
    from vislearn.commands import package_pictures

    images = package_pictures(package, count=count, seed=seed, label=label, format=format)
    pictures.save(pictures.image_grid(images), out)
    typer.echo(f"Picture in {out}")


@app.command()
def models(
    pattern: Annotated[
        str | None, typer.Argument(help="A name, or a pattern such as 'resnet*_cifar'.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Only for this task: classification, regression, detection, "
            "semantic_segmentation or generation."
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only of this family, such as vit.")] = None,
    most: Annotated[
        float | None, typer.Option("--max-params", help="Only up to so many million parameters.")
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Only those with published ImageNet weights.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the registered models, or describe the one that is named.

    With their papers' input, parameters and multiply-adds; one model also by stages.

    vislearn models --weights --max-params 10

    vislearn models 'resnet*' --task classification

    vislearn models mobilenet_v2
    """
    _load_keras()
    from vislearn import tables
    from vislearn.catalogue import facts, stages
    from vislearn.registry import list_models, model_info

    if pattern is not None and not set("*?[") & set(pattern):
        model_info(pattern)  # Says what is near where there is no such model.
    found = [facts(name) for name in list_models(task, family, pattern)]
    if most is not None:
        found = [row for row in found if row["parameters"] <= most * 1e6]
    if weights:
        found = [row for row in found if row["weights"]]
    one = len(found) == 1 and pattern == found[0]["name"]
    if as_json:
        if one:
            found[0]["stages"] = [dataclasses.asdict(stage) for stage in stages(pattern)]
        typer.echo(json.dumps(found, indent=2))
    elif one:
        tables.print_model(found[0], stages(pattern))
    else:
        tables.print_models(found)


if __name__ == "__main__":
    main()
