"""`vislearn data show` and `vislearn data info`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli.base import app, load_keras, parse_image_size

data = typer.Typer(
    help="Look at a data set before anything is trained on it.", no_args_is_help=True
)
app.add_typer(data, name="data")

_SHOWN_CLASSES = 100  # rows of the table; --json has all
_MIXED = 224  # the side that pictures of several sizes are brought to, where none is given

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="A folder (classes, COCO, Pascal VOC, masks), 'digits', 'shapes', or a TFDS name."
    ),
]
TaskOption = Annotated[
    str,
    typer.Option(
        help="classification, detection, semantic_segmentation, regression, generation or "
        "pretraining."
    ),
]
ImageSizeOption = Annotated[
    str | None,
    typer.Option(
        help="Side in pixels, or HEIGHTxWIDTH; by default the images' own where all are equal, "
        f"otherwise {_MIXED}."
    ),
]
DataDirOption = Annotated[Path | None, typer.Option(help="Where TFDS data sets are prepared.")]
ExtraOption = Annotated[
    list[str] | None,
    typer.Option(help="For detection also instance_masks or keypoints; may be repeated."),
]


@data.command()
def show(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="Picture to write (.png, .svg, .pdf).")],
    augment: Annotated[
        str,
        typer.Option(help="Name of an augmentation, or a YAML file of operations."),
    ] = "standard",
    engine: Annotated[
        str | None,
        typer.Option(help="native, albumentations or keras; by default what --augment says."),
    ] = None,
    task: TaskOption = "classification",
    count: Annotated[int, typer.Option(help="How many pictures, a row each.")] = 5,
    versions: Annotated[int, typer.Option(help="How many augmented versions of each.")] = 6,
    seed: Annotated[int, typer.Option(help="The same seed gives the same versions.")] = 0,
    image_size: ImageSizeOption = None,
    extra: ExtraOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Draw pictures beside augmented versions of themselves, with their annotations.

    Training pictures at even distances, so that many classes are met.

    vislearn data show photos --augment strong --image-size 96 --out photos.png

    vislearn data show shapes --task detection --extra keypoints --out boxes.png

    vislearn data show photos --augment mine.yaml --engine albumentations --out mine.png

    vislearn data show photos --task pretraining --augment simclr --out views.png
    """
    from vislearn import pictures
    from vislearn.data.augmentation import get_augmentation
    from vislearn.data.preview import augmented_rows

    pictures.check_suffix(out)
    dataset = _load(source, task, image_size, extra, data_dir)
    options = {"task": task, "keypoints": dataset.info.keypoints}
    function = get_augmentation(augment, flips=dataset.info.flips, **options)
    unmirrored = function != get_augmentation(augment, **options)
    if engine is not None and function is not None:
        function = dataclasses.replace(function, engine=engine)
    rows = augmented_rows(dataset, function, count=count, versions=versions, seed=seed)
    pictures.save(pictures.augmentation_grid(rows, dataset.info.classes), out)
    typer.echo(f"{len(rows)} pictures, each with {len(rows[0]) - 1} versions, in {out}")
    if unmirrored:
        typer.echo("Nothing is mirrored: the classes look like written signs.")


@data.command()
def info(
    source: SourceArgument,
    task: TaskOption = "classification",
    image_size: ImageSizeOption = None,
    extra: ExtraOption = None,
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what a data set holds: images, sizes, classes, files that can't be used.

    Every file is decoded, which is its check. --json also has the means and deviations of the
    training pixels, which a network scales by with --option preprocessing=...

    vislearn data info photos

    vislearn data info photos --json

    vislearn data info cells --task detection
    """
    from vislearn.data.summary import summarize

    facts = summarize(_load(source, task, image_size, extra, data_dir))
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)


def _load(source, task, image_size, extra, data_dir):
    load_keras()
    from vislearn.data import load_dataset

    return load_dataset(
        source,
        task=task,
        image_size=parse_image_size(image_size),
        fallback_size=_MIXED,
        extras=tuple(extra or ()),
        data_dir=data_dir,
    )


def _print(facts) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    height, width, channels = facts["image_shape"]
    counts, sizes = facts["counts"], facts["own_sizes"]
    console.print(f"[bold]{escape(facts['source'])}[/bold]: {facts['task'].replace('_', ' ')}")
    console.print(", ".join(f"{number:,} {split}" for split, number in counts.items()))
    frequent = ", ".join(f"{number:,} of {size}" for size, number in [*sizes.items()][:3])
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    kind = "colour" if channels == 3 else "grey"
    console.print(f"Used as {height}x{width}, {kind}. Files: {frequent}{more}")
    if facts["contents"]:
        unit = {
            "detection": "objects",
            "semantic_segmentation": "share of the pixels",
            "regression": "mean",
        }.get(facts["task"], "images")
        form = "{:,.0f}" if unit in ("objects", "images") else "{:.4g}"
        head = "quantity" if facts["task"] == "regression" else "class"
        table = Table(head, box=None, title=unit, title_justify="left")
        for split in counts:
            table.add_column(split, justify="right")
        for name, figures in [*facts["contents"].items()][:_SHOWN_CLASSES]:
            table.add_row(escape(name), *(form.format(figures[split]) for split in counts))
        console.print(table)
        if (left := len(facts["contents"]) - _SHOWN_CLASSES) > 0:
            console.print(f"and {left} more; --json has all", style="dim")
    for note in facts["notes"]:
        console.print(note, markup=False)
    for item in facts["skipped"]:
        console.print(f"left out: {item['file']}: {item['reason']}", markup=False)
