"""`vislearn lr-range`."""

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


@app.command(name="lr-range")
def lr_range(
    model: options.ModelArgument,
    data: DataOption,
    out: Annotated[
        Path | None, typer.Option(help="Folder for lr_range.png and lr_range.json.")
    ] = None,
    least: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    greatest: Annotated[float, typer.Option(help="Learning rate of the last step.")] = 10.0,
    steps: Annotated[int, typer.Option(help="Steps from the least to the greatest.")] = 200,
    image_size: options.ImageSizeOption = None,
    precision: options.PrecisionOption = "float32",
    seed: Annotated[int, typer.Option(help="Of order, augmentation and initial weights.")] = 0,
    weights: options.StartOption = None,
    tune: options.TuneOption = None,
    option: options.OptionPairs = None,
    recipe: options.RecipePairs = None,
    task_option: Annotated[
        list[str] | None, typer.Option(help="Option of the task; may be repeated.")
    ] = None,
    data_dir: options.DataDirOption = None,
) -> None:
    """Find a learning rate: train a few steps while the rate grows, and see where the loss falls.

    Takes the batches, the loss and the optimiser of the model's recipe. Suggests the rate at which
    the loss falls most steeply (for `train --learning-rate`), and draws the loss over the rate.

    vislearn lr-range resnet20_cifar --data digits --out runs/range

    vislearn lr-range lenet5 --data mnist --recipe optimizer=sgd --recipe batch_size=32 --steps 300
    """
    load_keras()
    from rich.console import Console

    from vislearn.training import lr_range as test

    found = test(
        model,
        data=data,
        least=least,
        greatest=greatest,
        steps=steps,
        image_size=parse_image_size(image_size),
        precision=precision,
        seed=seed,
        weights=weights,
        tune=tune,
        options=parse_values(option or []),
        task_options=parse_values(task_option or [], "--task-option"),
        data_options={} if data_dir is None else {"data_dir": str(data_dir)},
        **recipe_fields(recipe),
    )
    console = Console(highlight=False, soft_wrap=True)
    if found.suggestion is None:
        console.print("suggestion       none: the loss falls nowhere; look at the picture")
    else:
        console.print(f"[bold]suggestion       {found.suggestion:.2g}[/bold], the steepest descent")
    console.print(f"least loss / 10  {found.tenth:.2g}")
    console.print(f"recipe           {found.usual:.2g} with {found.optimizer}")
    console.print(
        f"{len(found.losses)} steps, up to {found.rates[-1]:.2g}"
        + (", where the loss diverged" if found.diverged else "")
    )
    if out is not None:
        found.save(out)
        console.print(f"Picture and figures in {out}.", markup=False)
