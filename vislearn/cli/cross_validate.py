"""`vislearn cross-validate`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli import options, trials
from vislearn.cli.base import DataOption, app, load_keras


@app.command("cross-validate")
def cross_validate(
    model: options.ModelArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the folds; must not exist yet.")],
    folds: Annotated[int, typer.Option(help="How many.")] = 5,
    epochs: options.EpochsOption = None,
    image_size: options.ImageSizeOption = None,
    precision: trials.PrecisionOption = None,
    seed: trials.SeedOption = None,
    weights: options.StartOption = None,
    tune: options.TuneOption = None,
    option: options.OptionPairs = None,
    recipe: options.RecipePairs = None,
    data_dir: options.DataDirOption = None,
    resume: options.ResumeFlag = False,
) -> None:
    """Train a network a fold and measure each on images that it never saw.

    Training and validation images are dealt into folds; the test images stay unread.

    Leaves a run a fold, metrics.json with mean and standard deviation, the out-of-fold answers in
    predictions.npz and the picture folds.png. A killed one goes on with --resume.

    vislearn cross-validate lenet5 --data digits --folds 5 --epochs 10 --out runs/folds

    vislearn cross-validate resnet18 --data photos --image-size 128 --weights imagenet --tune head
    --out runs/folds
    """
    load_keras()
    from vislearn.selection import cross_validate as run_folds

    training = trials.training_arguments(
        epochs=epochs,
        image_size=image_size,
        precision=precision,
        seed=seed,
        weights=weights,
        tune=tune,
        option=option,
        recipe=recipe,
        data_dir=data_dir,
    )
    run_folds(model, data=data, out=out, folds=folds, resume=resume, **training)
