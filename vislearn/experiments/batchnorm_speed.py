"""Batch norm's two promises: larger learning rates, and fewer steps.

Ioffe and Szegedy 2015 train Inception with 5 and 30 times the rate, and in 14 times fewer steps.
Here it is `cifar_cnn`, with and without batch norm, by plain gradient descent at constant rates
from the same weights, a short training for each rate. A rate counts as one that learns if the loss
of the last epoch is at least a tenth below that of guessing, ln(10).
"""

import math

import keras
import numpy as np

import vislearn
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
NAMES = {"plain": False, "batch norm": True}


@experiment(
    claim="Batch norm allows larger learning rates and trains faster.",
    source="ECE 5307 and CS909 notes; Ioffe and Szegedy, ICML 2015, arXiv:1502.03167, figure 2",
    expected="5 to 30 times the rate; the plain network's loss in fewer steps (Inception on "
    "ImageNet: 14 times fewer)",
    minutes=6,
    quick="The 8x8 digits and four rates.",
)
def batchnorm_speed(context: Context) -> None:
    images, epochs, rates, options = 6_400, 6, RATES, {}
    if context.quick:
        images, epochs, rates = 640, 6, RATES[1::2]
        options = {"filters": (8, 16), "units": 32}
    train = context.dataset("cifar10").arrays("train", limit=images)
    losses = {}
    for name, batch_norm in NAMES.items():
        step = name.replace(" ", "_")
        found = context.step(step, sweep, train, batch_norm, rates, epochs, options, context.seed)
        losses[name] = np.array(found)
    best = {name: values[np.argmin(values[:, -1])] for name, values in losses.items()}
    largest = {
        name: max(
            rate
            for rate, loss in zip(rates, values[:, -1], strict=True)
            if loss < 0.9 * math.log(10)
        )
        for name, values in losses.items()
    }
    for name in NAMES:
        context.figure(f"largest rate that learns, {name}", largest[name])
    context.figure(
        "largest rate, batch norm against plain",
        largest["batch norm"] / largest["plain"],
        at_least=3.0,
    )
    for name in NAMES:
        context.figure(f"loss of the last epoch at the best rate, {name}", best[name][-1])
    sooner = int(np.argmax(best["batch norm"] <= best["plain"][-1])) + 1
    reached = best["batch norm"].min() <= best["plain"][-1]
    context.figure(
        f"epochs that batch norm takes to the loss that plain has after {epochs}",
        sooner if reached else math.inf,
        at_most=epochs / 2,
    )
    numbers = range(1, epochs + 1)
    context.picture(
        "rates",
        chart(
            Panel(
                "the last epoch",
                "learning rate",
                "training loss",
                # What has diverged has no place on the axis.
                {
                    name: (rates, np.where(values[:, -1] < 3, values[:, -1], np.nan))
                    for name, values in losses.items()
                },
                log="x",
            ),
            Panel(
                "at the best rate",
                "epoch",
                "training loss",
                {name: (numbers, values) for name, values in best.items()},
            ),
        ),
        f"Left: the loss after {epochs} short epochs by learning rate; where a curve ends, "
        "training diverged, and 2.3 is guessing. Right: the course of training at each network's "
        "best rate.",
    )


def sweep(train, batch_norm: bool, rates, epochs: int, options: dict, seed: int) -> list:
    """Trains a network from the same weights at several rates.

    Returns:
        For each rate the loss of each epoch, with infinity in place of what is no number.
    """
    keras.utils.set_random_seed(seed)
    model = vislearn.create_model(
        "cifar_cnn", input_shape=train["images"].shape[1:], batch_norm=batch_norm, **options
    )
    start = model.get_weights()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rates[0]), loss)
    found = []
    for rate in rates:
        model.set_weights(start)
        model.optimizer.learning_rate = rate
        history = model.fit(
            train["images"], train["labels"], batch_size=64, epochs=epochs, verbose=0
        )
        found.append(np.nan_to_num(history.history["loss"], nan=math.inf).tolist())
    return found
