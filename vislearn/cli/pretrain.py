"""`vislearn pretrain`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli import options
from vislearn.cli.base import (
    DataOption,
    app,
    load_keras,
    parse_image_size,
    parse_values,
    recipe_fields,
)


@app.command()
def pretrain(
    model: Annotated[
        str,
        typer.Argument(
            help="Registry name of a classifier; for mae a vision transformer, for simmim a "
            "network with feature maps."
        ),
    ],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the run; must not exist yet.")],
    method: Annotated[
        str,
        typer.Option(
            help="simclr, to find the other view of a picture among those of all pictures of a "
            "batch; dino, to say of a view what an average of the network says of the other; mae, "
            "to fill in hidden patches by the others; simmim, by a picture in which they are grey."
        ),
    ] = "simclr",
    epochs: options.EpochsOption = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a step; simclr learns more from large batches.")
    ] = None,
    image_size: options.ImageSizeOption = None,
    learning_rate: options.LearningRateOption = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="What makes the views: simclr, mae, flip, none, or a YAML file of operations; by "
            "default the method's."
        ),
    ] = None,
    precision: options.PrecisionOption = "float32",
    seed: options.SeedOption = 0,
    weights: options.StartOption = None,
    option: options.OptionPairs = None,
    recipe: options.RecipePairs = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="temperature=0.5, projection=128 of simclr; prototypes=128, momentum=0.97, "
            "teacher_temperature=0.04 and others of dino; masked=0.75, decoder_depth=4, "
            "decoder_dim=..., normalize=true of mae; masked=0.6 of simmim; may be repeated."
        ),
    ] = None,
    data_dir: options.DataDirOption = None,
    resume: options.ResumeFlag = False,
) -> None:
    """Learn features from pictures without labels, to start from with `train --weights`.

    Any folder of images does. Folders for classes are not needed, and are not learned from; where
    there are some, images are split as for `train`, and nothing is learned from its test images.

    Leaves a run folder, whose weights fit the same model with the same options:

    vislearn pretrain resnet20_cifar --data photos --out runs/features

    vislearn train resnet20_cifar --data photos --out runs/probe --weights runs/features --tune head

    vislearn pretrain vit_small_patch16 --method mae --data photos --out runs/mae
    """
    load_keras()
    from vislearn.training import pretrain as run_pretraining

    given = recipe_fields(
        recipe,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        augment=augment,
        objective=parse_values(objective or [], "--objective") or None,
    )
    run_pretraining(
        model,
        data=data,
        out=out,
        method=method,
        image_size=parse_image_size(image_size),
        precision=precision,
        seed=seed,
        weights=weights,
        options=parse_values(option or []),
        data_options={} if data_dir is None else {"data_dir": str(data_dir)},
        resume=resume,
        **given,
    )
