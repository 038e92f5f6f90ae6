"""What averaging adds: networks of other seeds make other mistakes.

The members differ by their seed alone: initial weights, order and augmentation of the images. Every
subset of the members is averaged, so that the gain of two, three ... networks is a mean over
subsets and not that of a lucky pair. The cross entropy of an average is at most the members' mean
cross entropy, by Jensen's inequality; nothing of the kind holds for the accuracy.
"""

import itertools

import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.experiments.subsets import few
from vislearn.pictures import Panel, chart
from vislearn.training.evaluation import predict_arrays


@experiment(
    claim="Averaging the answers of several models adds about two points.",
    source="CS163 notes, ensembles; Stanford CS231n, training neural networks: 2% extra; Hansen "
    "and Salamon, PAMI 1990",
    expected="10,000 images of CIFAR-10: five networks 1 to 3 points above their mean; never a "
    "larger cross entropy",
    minutes=4,
    quick="Two small networks on the 8x8 digits: the cross entropy, and no gain in points.",
)
def ensemble_gain(context: Context) -> None:
    count = 2 if context.quick else 5
    recipe = {"epochs": 3, "augment": "none"} if context.quick else {"epochs": 15}
    model, precision = ("mlp", "float32") if context.quick else ("cifar_cnn", "mixed_bfloat16")
    images = few(context, "cifar10", 1000)
    runs = [
        context.train(f"seed{seed}", model, data=images, seed=seed, precision=precision, **recipe)
        for seed in range(context.seed, context.seed + count)
    ]
    test = runs[0].data().arrays("test")
    scores = np.stack(
        [predict_arrays(run.model(), run.task(), test["images"])["scores"] for run in runs]
    )  # (members, images, classes)
    accuracies, entropies = by_size(scores, test["labels"])

    context.figure("test accuracy, mean of the members", accuracies[0])
    context.figure("test accuracy, the average of all", accuracies[-1])
    context.figure(
        "points gained, percent",
        100 * (accuracies[-1] - accuracies[0]),
        expected=2,
        tolerance=1,
        full_only=True,
    )
    context.figure("cross entropy, mean of the members", entropies[0])
    context.figure("cross entropy, the average of all", entropies[-1], at_most=entropies[0])
    sizes = range(1, count + 1)
    context.picture(
        "sizes",
        chart(
            Panel(
                "test accuracy", "networks", "accuracy", {"mean of subsets": (sizes, accuracies)}
            ),
            Panel("cross entropy", "networks", "nats", {"mean of subsets": (sizes, entropies)}),
        ),
        "Accuracy and cross entropy by the number of networks, means over all subsets.",
    )


def by_size(scores: np.ndarray, labels: np.ndarray) -> tuple[list[float], list[float]]:
    """Accuracy and cross entropy of averages of 1, 2, ... members, means over all subsets.

    Args:
        scores: Probabilities `(members, images, classes)`.
        labels: `(images,)`.
    """
    accuracies, entropies = [], []
    for size in range(1, len(scores) + 1):
        averages = [
            scores[list(chosen)].mean(axis=0)
            for chosen in itertools.combinations(range(len(scores)), size)
        ]
        accuracies.append(float(np.mean([p.argmax(axis=1) == labels for p in averages])))
        right = np.stack([p[np.arange(len(labels)), labels] for p in averages])
        entropies.append(float(-np.log(np.maximum(right, 1e-12)).mean()))
    return accuracies, entropies
