"""What mixup does between the classes.

Two half-moons of points: a small network is trained on them, and another one on weighted means of
random pairs with labels of the same weights (alpha = 1). Between the moons the first decides within
a hair's breadth, the second by degrees. At full length two networks for CIFAR-10 are asked about
mixtures of two test images of different classes: how often is the answer neither of the two?
"""

import keras
import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart
from vislearn.pictures.style import RIGHT, WRONG, new_figure, style
from vislearn.training.evaluation import predict_arrays

STEPS = 400
SIDE = 81  # Points of the grid in each direction.
LIMITS = ((-1.5, 2.5), (-1.25, 1.75))
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # Of the second image in a mixture.


@experiment(
    claim="Mixup smooths the decision between classes.",
    source="Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, arXiv:1710.09412, "
    "Figures 1b and 2; CS909 notes",
    expected="a gentler slope between the classes, and fewer answers that are neither class of a "
    "mixture",
    minutes=6,
    quick="The points alone.",
)
def mixup_decision(context: Context) -> None:
    points, labels = moons(context.random, 200)
    fields = {}
    for name, mix in (("plain", False), ("mixup", True)):
        fields[name], accuracy = decide(context.random, points, labels, mix)
        context.figure(f"{name}: share of the points on the right side", accuracy)
    slopes = {name: steepness(field) for name, field in fields.items()}
    for name, slope in slopes.items():
        context.figure(f"{name}: slope of the probability where it is 1/2", slope)
    context.figure("slope, mixup over plain", slopes["mixup"] / slopes["plain"], at_most=0.5)
    unsure = {name: np.mean((field > 0.1) & (field < 0.9)) for name, field in fields.items()}
    context.figure(
        "share of the plane between 10 and 90%, mixup over plain",
        unsure["mixup"] / unsure["plain"],
        at_least=2,
    )
    context.picture(
        "plane",
        draw(fields, points, labels),
        "The probability of the second class over the plane, in steps of a tenth.",
    )
    if not context.quick:
        _ask_about_mixtures(context)


def _ask_about_mixtures(context: Context) -> None:
    """Trains two networks on CIFAR-10, and records their answers between test images."""
    missed, confidence = {}, {}
    for name, operations in (("plain", []), ("mixup", [{"mixup": {"alpha": 1.0}}])):
        run = context.train(
            name,
            "cifar_cnn",
            data="cifar10",
            precision="mixed_bfloat16",
            epochs=6,
            label_smoothing=0.0,
            augment={"operations": operations},
        )
        context.figure(f"{name}: test accuracy", run.metrics()["test"]["accuracy"])
        test = run.data().arrays("test", limit=2000)
        missed[name], confidence[name] = between(run, test["images"], test["labels"])
    for name, misses in missed.items():
        context.figure(f"{name}: answers that are neither class of an even mixture", misses[-1])
    context.figure(
        "answers that are neither class, mixup less plain",
        missed["mixup"][-1] - missed["plain"][-1],
        at_most=0,
    )
    context.figure(
        "confidence at an even mixture, mixup less plain",
        confidence["mixup"][-1] - confidence["plain"][-1],
        at_most=0,
    )
    context.picture(
        "mixtures",
        chart(
            Panel(
                "neither class",
                "weight of the other",
                "share",
                {k: (WEIGHTS, v) for k, v in missed.items()},
            ),
            Panel(
                "mean of the highest probability",
                "weight of the other",
                "probability",
                {k: (WEIGHTS, v) for k, v in confidence.items()},
            ),
        ),
        "Mixtures of two test images of different classes, by the weight of the second.",
    )


def moons(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` points `(n, 2)` around two interlocked half circles, and their labels."""
    angles = random.uniform(0, np.pi, count)
    labels = np.arange(count) % 2
    x = np.where(labels, 1 - np.cos(angles), np.cos(angles))
    y = np.where(labels, 0.5 - np.sin(angles), np.sin(angles))
    points = np.stack([x, y], axis=1) + random.normal(0, 0.1, (count, 2))
    return points.astype("float32"), labels.astype("float32")


def decide(random: np.random.Generator, points, labels, mix: bool) -> tuple[np.ndarray, float]:
    """Trains a network on points, or on their mixtures.

    Returns:
        The probability of the second class on the grid, `(SIDE, SIDE)`, and the share of points
        on the right side.
    """
    keras.utils.set_random_seed(0)  # Both networks start alike.
    hidden = [keras.layers.Dense(64, "relu", kernel_initializer="he_normal") for _ in range(2)]
    model = keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", jit_compile=False)
    x, y = np.tile(points, (STEPS, 1)), np.tile(labels, STEPS)
    if mix:
        weight = random.uniform(size=len(x)).astype("float32")  # Beta(1, 1).
        other = random.permutation(len(x))
        x = weight[:, None] * x + (1 - weight[:, None]) * x[other]
        y = weight * y + (1 - weight) * y[other]
    model.fit(x, y, batch_size=len(points), shuffle=False, verbose=0)
    axes = np.meshgrid(*(np.linspace(*limits, SIDE, dtype="float32") for limits in LIMITS))
    grid = np.stack(axes, axis=-1).reshape(-1, 2)
    right = (model.predict_on_batch(points)[:, 0] > 0.5) == labels
    return model.predict_on_batch(grid).reshape(SIDE, SIDE), float(right.mean())


def steepness(field: np.ndarray) -> float:
    """The mean length of the gradient where the probability crosses 1/2."""
    steps = [(high - low) / (SIDE - 1) for low, high in LIMITS]
    down, along = np.gradient(field, steps[1], steps[0])
    crossing = np.zeros(field.shape, bool)
    crossing[:, :-1] |= (field[:, :-1] > 0.5) != (field[:, 1:] > 0.5)
    crossing[:-1] |= (field[:-1] > 0.5) != (field[1:] > 0.5)
    return float(np.hypot(down, along)[crossing].mean())


def between(run, images: np.ndarray, labels: np.ndarray) -> tuple[list[float], list[float]]:
    """What a network says about mixtures of images of different classes.

    Returns:
        By weight of the second image, the share of answers that are neither of the two classes,
        and the mean of the highest probability.
    """
    order = np.random.default_rng(0).permutation(len(images))
    differ = labels != labels[order]
    one, other = images[differ].astype("float32"), images[order][differ].astype("float32")
    pairs = np.stack([labels[differ], labels[order][differ]])
    model, task = run.model(), run.task()
    missed, confidence = [], []
    for weight in WEIGHTS:
        answers = predict_arrays(model, task, (1 - weight) * one + weight * other)
        missed.append(float(np.mean(np.all(answers["class_id"] != pairs, axis=0))))
        confidence.append(float(answers["scores"].max(axis=1).mean()))
    return missed, confidence


def draw(fields: dict[str, np.ndarray], points, labels):
    with style():
        figure = new_figure(3.2 * len(fields), 2.6)
        places = [np.linspace(*limits, SIDE) for limits in LIMITS]
        for axes, (name, field) in zip(
            figure.subplots(1, len(fields)), fields.items(), strict=True
        ):
            axes.contourf(*places, field, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
            for label, colour in ((0, WRONG), (1, RIGHT)):
                axes.plot(*points[labels == label].T, "o", color=colour, markersize=2)
            axes.set(title=name, xticks=[], yticks=[], aspect="equal")
        figure.tight_layout(w_pad=2)
    return figure
