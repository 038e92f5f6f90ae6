"""Dropout at the beginning of training only, for a network that is too small to overfit.

Liu et al. 2023: dropout in the first epochs aligns the gradients of batches, and a network that
underfits ends with a lower training loss than without any; dropout throughout raises it. Their
networks are transformers on ImageNet, for 300 epochs, and the gains small (a few hundredths of the
loss). Here it is `cifar_cnn` with 8, 16 and 32 filters (33,000 weights) on augmented CIFAR-10, 10
epochs, dropout of 0.1 in the first three. The loss is measured after training, on the training
images as they are and without dropout; the mean over three seeds is compared.
"""

import keras
import numpy as np

from vislearn.experiments.curves import curve
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

# Rate, schedule.
CASES = {"none": (0.0, None), "early": (0.1, "early:3"), "throughout": (0.1, None)}
LEARNS = 2.0  # Loss below which a training has learned; that of chance is log(10) = 2.3.


@experiment(
    claim="Early dropout lowers the training loss of a network that underfits; dropout throughout "
    "raises it.",
    source="CS909 notes; Liu et al., ICML 2023, arXiv:2303.01500, section 4 and table 1",
    expected="early below none, none below throughout; in the paper by a few hundredths",
    minutes=20,
    quick="A few epochs of the 8x8 digits and one seed: that it learns, and not what dropout does.",
)
def early_late_dropout(context: Context) -> None:
    seeds, recipe = range(3), {"epochs": 10, "batch_size": 128, "learning_rate": 2e-3}
    options, cases = {"filters": [8, 16, 32], "units": 32}, dict(CASES)
    if context.quick:
        seeds = range(1)
        recipe = {"epochs": 4, "batch_size": 32, "learning_rate": 1e-2, "augment": "none"}
        options = {"filters": [8], "units": 16}
        del cases["throughout"]
    train = context.dataset("cifar10").arrays("train")
    runs = {
        (name, seed): context.train(
            f"{name}_{seed}",
            "cifar_cnn",
            data="cifar10",
            options={**options, "dropout": rate},
            dropout_schedule=schedule,
            label_smoothing=0.0,
            weight_decay=0.0,
            patience=recipe["epochs"],
            seed=context.seed + seed,
            **recipe,
        )
        for seed in seeds
        for name, (rate, schedule) in cases.items()
    }
    losses = {
        name: np.array(
            [
                context.step(f"loss_{name}_{seed}", training_loss, runs[name, seed], train)
                for seed in seeds
            ]
        )
        for name in cases
    }
    for name, values in losses.items():
        # Where nothing is learned, the losses tie.
        bound = {"at_most": LEARNS} if name == "none" else {}
        context.figure(f"training loss, {name}", values.mean(), **bound)
    context.figure(
        "what early dropout takes from the loss",
        (losses["none"] - losses["early"]).mean(),
        at_least=0.0,
        full_only=True,
    )
    if not context.quick:
        context.figure(
            "what dropout throughout adds to the loss",
            (losses["throughout"] - losses["none"]).mean(),
            at_least=0.0,
        )
        context.figure("standard deviation between seeds, none", losses["none"].std(ddof=1))
    context.picture(
        "losses",
        chart(
            Panel(
                "training",
                "epoch",
                "loss",
                {name: curve(runs[name, 0], "loss") for name in cases},
            )
        ),
        "The loss while training, of augmented images and with dropout where there is some; the "
        "first seed.",
    )


def training_loss(run, train) -> float:
    """The cross entropy of a run's network on the training images, without dropout."""
    model = run.model()
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.evaluate(train["images"], train["labels"], batch_size=500, verbose=0)
