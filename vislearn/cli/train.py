"""`vislearn train`."""

from pathlib import Path
from typing import Annotated, Any

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
def train(
    model: options.ModelArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder of the run; must not exist yet.")],
    epochs: options.EpochsOption = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    image_size: options.ImageSizeOption = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help="sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam or adamw."),
    ] = None,
    learning_rate: options.LearningRateOption = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="constant, step, multiplicative, exponential, cosine, cyclic or one_cycle; their "
            "options with --recipe, such as 'schedule_options={\"warmup\": 0.1}'."
        ),
    ] = None,
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
            help="none, light, standard, strong, resnet, imagedatagenerator, crop, flip, or a "
            "YAML file of operations; `vislearn data show --augment ...` draws what they do."
        ),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better one.")
    ] = None,
    precision: options.PrecisionOption = "float32",
    seed: options.SeedOption = 0,
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
            "smaller rates towards the pixels; for many images), adapters, norms (the scales and "
            "shifts of the normalisation alone)."
        ),
    ] = None,
    layer_decay: Annotated[
        float | None,
        typer.Option(
            help="Factor on the learning rate from each stage to the one before, above 0 to 1; "
            "0.7 with --tune all."
        ),
    ] = None,
    option: options.OptionPairs = None,
    recipe: options.RecipePairs = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Option of what is minimised, such as beta=4; may be repeated."),
    ] = None,
    task_option: Annotated[
        list[str] | None,
        typer.Option(help="Option of the task, such as schedule=cosine; may be repeated."),
    ] = None,
    data_dir: options.DataDirOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail at the first unreadable image.")
    ] = False,
    devices: Annotated[
        int | None,
        typer.Option(
            help="Divide every batch among so many devices of this host; by default all "
            "accelerators on JAX, and otherwise one device."
        ),
    ] = None,
    hosts: Annotated[
        str | None,
        typer.Option(
            help="On JAX: HOST:PORT of the first of several hosts, on which they meet; see "
            "docs/distributed.md."
        ),
    ] = None,
    host_index: Annotated[
        int | None, typer.Option(help="With --hosts: number of this one, from 0.")
    ] = None,
    host_count: Annotated[
        int | None, typer.Option(help="With --hosts: how many there are.")
    ] = None,
    resume: options.ResumeFlag = False,
) -> None:
    """Train a model on a folder of images.

    What is not given comes from the recipe of the model's family.

    Leaves a run folder with the best model, its figures and report.html.

    From scratch, from published weights, and from another run:

    vislearn train resnet18 --data photos --out runs/photos --image-size 128

    vislearn train resnet50 --data photos --out runs/tuned --weights imagenet --tune stages:1

    vislearn train resnet18 --data others --out runs/others --weights runs/photos --tune head

    Another loss with its options, and a penalty on some layers:

    vislearn train mlp --data digits --out runs/hinge --recipe loss=cubed_hinge --objective margin=1

    vislearn train mlp --data digits --out runs/sparse --recipe l1=1e-4 --recipe penalized=dense1

    On two hosts, the same line on each but for the index:

    KERAS_BACKEND=jax vislearn train resnet18 --data photos --out runs/photos
    --hosts 10.0.0.1:1234 --host-count 2 --host-index 0
    """
    load_keras(lambda: _start(devices, hosts, host_index, host_count))
    from vislearn.training import train as run_training

    given = recipe_fields(
        recipe,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        agc=agc,
        momentum=momentum,
        ema=ema,
        layer_decay=layer_decay,
        objective=parse_values(objective or [], "--objective") or None,
        augment=augment,
        patience=patience,
    )
    data_options: dict[str, Any] = {"strict": True} if strict else {}
    if data_dir is not None:
        data_options["data_dir"] = str(data_dir)
    run_training(
        model,
        data=data,
        out=out,
        image_size=parse_image_size(image_size),
        precision=precision,
        seed=seed,
        weights=weights,
        tune=tune,
        options=parse_values(option or []),
        data_options=data_options,
        task_options=parse_values(task_option or [], "--task-option"),
        devices=devices,
        resume=resume,
        **given,
    )


def _start(devices: int | None, address: str | None, index: int | None, count: int | None) -> None:
    from vislearn.training import distribution

    distribution.start(devices, distribution.Hosts.given(address, index, count))
