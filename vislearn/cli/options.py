"""Options that several commands have, each with the same words in every help text."""

from pathlib import Path
from typing import Annotated

import typer

ModelArgument = Annotated[str, typer.Argument(help="Registry name; see `vislearn models`.")]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the training images.")]
ImageSizeOption = Annotated[
    str | None,
    typer.Option(
        help="Side in pixels, or HEIGHTxWIDTH; by default the images' own where all are equal, "
        "otherwise the model's published one."
    ),
]
LearningRateOption = Annotated[float | None, typer.Option(help="Peak learning rate.")]
PrecisionOption = Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")]
SeedOption = Annotated[int, typer.Option(help="A run with a seed repeats exactly.")]
StartOption = Annotated[str | None, typer.Option(help="What to start from; as for `train`.")]
TuneOption = Annotated[str | None, typer.Option(help="What of it is trained; as for `train`.")]
OptionPairs = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the architecture, as name=value; may be repeated."),
]
RecipePairs = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="Any other field of the recipe, as name=value, such as optimizer=adamw; may be "
        "repeated.",
    ),
]
DataDirOption = Annotated[Path | None, typer.Option(help="Where TFDS data sets are prepared.")]
ResumeFlag = Annotated[bool, typer.Option("--resume", help="Go on with what was begun in --out.")]
