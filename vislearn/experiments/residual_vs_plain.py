"""Deeper is worse without shortcuts, and better with them.

He et al. 2016, figure 6: plain networks of 20 and 56 layers and residual networks of the same
weights, shortcut for shortcut, all with batch norm. What is compared is the training error, so that
overfitting is no explanation. Here with the paper's optimiser (momentum, batches of 128, 0.1) and
augmentation, on images of 16 pixels in place of 32, which cost a quarter, in 6 epochs with a
cosine in place of 164: enough for the plain networks to part by 31 points, but not for the deeper
residual network to overtake the other.
"""

from vislearn.experiments.curves import curve
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

NAMES = {
    "plain 20": "plain20_cifar",
    "plain 56": "plain56_cifar",
    "residual 20": "resnet20_cifar",
    "residual 56": "resnet56_cifar",
}
LEARNS = 0.6  # Error below which a training has learned; chance is 0.9.


@experiment(
    claim="A plain network of 56 layers trains worse than one of 20; residual networks reverse it.",
    source="ECE 5307 and CS909 notes; He et al. 2016, arXiv:1512.03385, figure 6 and table 6",
    expected="paper, 164 epochs: test error 8.75% for residual 20 and 6.97% for 56; plain 56 above "
    "plain 20 by some points, in training too",
    minutes=22,
    quick="8 layers, few filters, two epochs of the 8x8 digits: that the shortcuts have no weights "
    "is checked, the errors are not.",
)
def residual_vs_plain(context: Context) -> None:
    names, options = dict(NAMES), {}
    recipe = {"epochs": 6, "batch_size": 128, "learning_rate": 0.1, "image_size": 16}
    if context.quick:
        names = {"plain 8": "plain20_cifar", "residual 8": "resnet20_cifar"}
        recipe, options = {"epochs": 2, "learning_rate": 0.1}, {"depth": 8, "width": 4}
    runs = {
        name: context.train(
            name.replace(" ", "_"),
            model,
            data="cifar10",
            options=options,
            optimizer="momentum",
            # Decoupled: with momentum 0.9 as 1e-4 in the gradient.
            weight_decay=1e-3,
            label_smoothing=0.0,
            **recipe,
        )
        for name, model in names.items()
    }
    counts = {name: run.model().count_params() for name, run in runs.items()}
    depths = sorted({name.split()[1] for name in names}, key=int)
    for depth in depths:
        context.figure(
            f"weights of residual {depth}",
            counts[f"residual {depth}"],
            expected=counts[f"plain {depth}"],
        )
    errors = {
        "training error": {name: 1 - run.history()[-1]["accuracy"] for name, run in runs.items()},
        "test error": {name: 1 - run.metrics()["test"]["accuracy"] for name, run in runs.items()},
    }
    for measure, values in errors.items():
        for name, value in values.items():
            # Where nothing is learned, depth makes no difference.
            bound = {"at_most": LEARNS} if name == "residual 20" else {}
            context.figure(f"{name}: {measure}", value, **bound)
        if context.quick:
            continue
        for kind, bound in (("plain", "at_least"), ("residual", "at_most")):
            context.figure(
                f"{kind}: what 36 layers more add to the {measure}",
                values[f"{kind} 56"] - values[f"{kind} 20"],
                **{bound: 0.0},
            )
    context.picture(
        "errors",
        chart(
            *(
                Panel(
                    title,
                    "epoch",
                    "training accuracy",
                    {
                        f"{depth} layers": curve(runs[f"{kind} {depth}"], "accuracy")
                        for depth in depths
                    },
                    limits=(0, 1),
                )
                for kind, title in (("plain", "plain"), ("residual", "with shortcuts"))
            )
        ),
        "Accuracy on augmented training images: what more layers do without shortcuts and with "
        "them.",
    )
