"""Residual networks without normalisation, with and without adaptive gradient clipping.

The source scales the rate with the batch and goes up to batches of 4,096; here the batch stays at
64 and the rate grows, which costs less and asks the same. The network is an NFNet of three blocks,
trained for an epoch at a constant rate, without a warm-up. The clipping is that of the family's
recipe, lambda = 0.08.
"""

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart
from vislearn.training import TrainingDiverged

CLIPPING = {"adaptive clipping": 0.08, "no clipping": None}
LEARNS = 0.25  # Test accuracy above which a training has learned: 2.5 times chance.


@experiment(
    claim="Without normalisation, adaptive clipping trains where plain training diverges.",
    source="Brock et al., High-Performance Large-Scale Image Recognition Without Normalization, "
    "ICML 2021, arXiv:2102.06171, section 4 and Figure 2; CS909 notes",
    expected="clipping learns at a rate at least four times as large as the largest one without",
    minutes=10,
    quick="One block on the 8x8 digits, at one rate.",
)
def nfnet_agc(context: Context) -> None:
    rates = (0.8,) if context.quick else (0.05, 0.2, 0.8, 3.2)
    accuracies = {
        name: [train(context, rate, agc) for rate in rates] for name, agc in CLIPPING.items()
    }
    for name, values in accuracies.items():
        for rate, value in zip(rates, values, strict=True):
            context.figure(f"{name}: test accuracy at rate {rate}", value)
    # Without it, 0 over four times 0 would do.
    context.figure(
        "adaptive clipping: best test accuracy",
        max(accuracies["adaptive clipping"]),
        at_least=LEARNS,
    )
    best = {
        name: max((r for r, v in zip(rates, values, strict=True) if v >= LEARNS), default=0.0)
        for name, values in accuracies.items()
    }
    for name, rate in best.items():
        context.figure(f"{name}: largest rate that learns", rate)
    context.figure(
        "largest rate that learns with clipping, over four times that without",
        best["adaptive clipping"] - 4 * best["no clipping"],
        at_least=0,
    )
    context.picture(
        "rates",
        chart(
            Panel(
                "after a short training",
                "learning rate",
                "test accuracy",
                {name: (rates, values) for name, values in accuracies.items()},
                log="x",
                limits=(0, 1),
            )
        ),
        "Test accuracy by the rate; 0 where the loss became infinite or NaN.",
    )


def train(context: Context, rate: float, agc: float | None) -> float:
    """The test accuracy after a training; 0 if it diverges."""
    small = {"dropout": 0.0, "drop_path_rate": 0.0, "group_size": 8}
    if context.quick:
        small |= {"repeats": [1], "filters": [16]}
    else:
        small |= {"repeats": [1, 2], "filters": [64, 128]}
    try:
        run = context.train(
            f"rate{rate}_agc{agc}",
            "nfnet_f0",
            data="cifar10",
            image_size=8 if context.quick else 32,
            options=small,
            learning_rate=rate,
            schedule="constant",
            agc=agc,
            epochs=3 if context.quick else 1,
            batch_size=64,
            augment="none" if context.quick else "standard",
        )
    except TrainingDiverged:
        return 0.0
    return run.metrics()["test"]["accuracy"]
