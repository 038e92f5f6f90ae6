"""`vislearn search`."""

from pathlib import Path
from typing import Annotated

import typer

from vislearn.cli import options
from vislearn.cli import trials as common
from vislearn.cli.base import DataOption, app, load_keras


@app.command()
def search(
    model: options.ModelArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the trials; must not exist yet.")],
    space: Annotated[
        list[str],
        typer.Option(
            help="What varies: NAME=a,b,c for choices, NAME=low..high for a range (whole numbers "
            "where both ends are), NAME=log:1e-4..1e-1 where orders of magnitude count alike, "
            "with :5 behind it for five points of a grid. NAME is a field of the recipe, seed, "
            "option.NAME of the architecture or objective.NAME. May be repeated."
        ),
    ],
    method: Annotated[str, typer.Option(help="random, grid or bayesian.")] = "random",
    trials: Annotated[
        int | None, typer.Option(help="How many; by default 20, or the whole grid.")
    ] = None,
    trial_epochs: Annotated[
        int | None, typer.Option(help="Epochs of a trial, where fewer will do.")
    ] = None,
    search_seed: Annotated[int, typer.Option(help="Of what is drawn from the space.")] = 0,
    epochs: options.EpochsOption = None,
    image_size: options.ImageSizeOption = None,
    precision: common.PrecisionOption = None,
    seed: common.SeedOption = None,
    weights: options.StartOption = None,
    tune: options.TuneOption = None,
    option: options.OptionPairs = None,
    recipe: options.RecipePairs = None,
    data_dir: options.DataDirOption = None,
    resume: options.ResumeFlag = False,
) -> None:
    """Search recipes and architectures by their validation images.

    The test images stay unread; the command that is printed at the end measures on them, once.

    Leaves a run a trial, trials.json, best.json, and the pictures importance.png and slices.png. A
    killed search goes on with --resume, also with more --trials than before.

    vislearn search lenet5 --data digits --space learning_rate=log:1e-4..1e-1 --space
    optimizer=sgd,adamw --trials 20 --trial-epochs 5 --out runs/search

    vislearn search resnet20_cifar --data cifar10 --space option.depth=8,14,20 --space
    weight_decay=log:1e-4..1e-1:4 --method grid --out runs/grid
    """
    load_keras()
    from vislearn.selection import search as run_search

    training = common.training_arguments(
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
    run_search(
        model,
        data=data,
        space=space,
        out=out,
        method=method,
        trials=trials,
        trial_epochs=trial_epochs,
        search_seed=search_seed,
        resume=resume,
        **training,
    )
