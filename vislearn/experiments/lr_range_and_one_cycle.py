"""A range test finds a learning rate, and one cycle up to it makes a short training good.

Smith's range test raises the rate from step to step and watches the loss; the peak is the rate
where the loss is least, beyond which it rises (section 3.3 of the paper). A tenth of it and ten
times it are trained beside it, all constant. Then three schedules have it as their peak: constant,
by steps (a tenth after each third), and one cycle up and down. With a tenth of it as the peak, the
more careful rule for a constant rate, one cycle is too slow for four epochs: 58.2 against 62.6%
constant. "Super-convergence" is about larger networks; what is checked here is that one cycle is
the best of the three where time is short.
"""

import dataclasses
from pathlib import Path

from vislearn import pictures
from vislearn.experiments.curves import curve
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart
from vislearn.training import RateRange, TrainingDiverged, lr_range

# Gradient descent with momentum, as in the papers.
LEARNS = 0.3  # Test accuracy above which a training has learned: three times chance.
RECIPE = {"optimizer": "nesterov", "weight_decay": 5e-4, "label_smoothing": 0.0}


@experiment(
    claim="A range test finds a rate that trains, and one cycle up to it beats a constant rate in "
    "a short training.",
    source="Smith, WACV 2017, arXiv:1506.01186, section 3.3; Smith and Topin, arXiv:1708.07120; "
    "ECE 5307 notes",
    expected="a tenth of the rate learns less in the same time, and so does ten times it; one "
    "cycle is ahead of a constant rate and of steps",
    minutes=6,
    quick="The rate that is found against a tenth of it, on the 8x8 digits.",
)
def lr_range_and_one_cycle(context: Context) -> None:
    model = "mlp" if context.quick else "cifar_cnn"
    recipe = {**RECIPE, "augment": "none" if context.quick else "standard"}
    found = RateRange(**context.step("range", sweep, context, model, recipe))
    peak = 10 * found.tenth
    context.figure("rate of the least loss", peak)
    runs = {"constant": (peak, "constant"), "a tenth": (0.1 * peak, "constant")}
    if not context.quick:
        runs |= {
            "ten times": (10 * peak, "constant"),
            "steps": (peak, "step"),
            "one cycle": (peak, "one_cycle"),
        }
    accuracies, curves = {}, {}
    for name, (rate, schedule) in runs.items():
        accuracies[name], curves[name] = train(
            context, name.replace(" ", "_"), model, learning_rate=rate, schedule=schedule, **recipe
        )
        # The claim that the rate trains; without it, trainings that all diverge would tie.
        bound = {"at_least": LEARNS} if name == "constant" else {}
        context.figure(f"{name}: test accuracy", accuracies[name], **bound)
    for ahead, behind in (
        ("constant", "a tenth"),
        ("constant", "ten times"),
        ("one cycle", "constant"),
        ("one cycle", "steps"),
    ):
        if {ahead, behind} <= runs.keys():
            gain = 100 * (accuracies[ahead] - accuracies[behind])
            context.figure(f"{ahead} less {behind}, percent", gain, at_least=0)
    context.picture("range", pictures.rate_range(found), "The range test.")
    context.picture(
        "epochs",
        chart(Panel("validation accuracy", "epoch", "accuracy", curves), height=3.2),
        "The accuracy on held-out images after each epoch, at the rate found and beside it.",
    )


def sweep(context: Context, model: str, recipe: dict) -> dict:
    """The fields of the range test."""
    options = {} if context.data_dir is None else {"data_dir": str(context.data_dir)}
    found = lr_range(
        model,
        data=context.source("cifar10"),
        data_options=options,
        least=1e-5,
        steps=100 if context.quick else 200,
        seed=context.seed,
        quiet=context.quiet,
        **recipe,
    )
    return dataclasses.asdict(dataclasses.replace(found, data=Path(found.data).name))


def train(context: Context, name: str, model: str, **recipe) -> tuple[float, tuple]:
    """The test accuracy, and the validation accuracy by epoch; nothing of it if it diverges."""
    try:
        run = context.train(
            name,
            model,
            data="cifar10",
            precision="float32" if context.quick else "mixed_bfloat16",
            epochs=4,
            **recipe,
        )
    except TrainingDiverged:
        return 0.0, ([], [])
    return run.metrics()["test"]["accuracy"], curve(run, "val_accuracy")
