"""The k of nearest neighbours, chosen by five folds; and pixels against features.

Test images take no part in the choice: each fold of the training images is classified by the other
four, for every k, and the best mean decides. The features are histograms of oriented gradients
(Dalal and Triggs 2005), which need no training: per cell of 8x8 pixels nine bins of direction,
weighted by strength, scaled to length 1.
"""

import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

NEIGHBOURS = (1, 3, 5, 8, 10, 12, 15, 20, 50, 100)


@experiment(
    claim="Five folds choose a good k for nearest neighbours, and features beat pixels.",
    source="CS163 notes, k-NN; Stanford CS231n, image classification (5,000 images of CIFAR-10)",
    expected="CIFAR-10, 5,000 images: about 28 to 30% on pixels with k near 7; features at least "
    "ten points more; the chosen k within a point of the best one",
    minutes=1,
    quick="The 8x8 digits, which are too small for these features.",
)
def knn_cross_validation(context: Context) -> None:
    data = context.dataset("cifar10")
    train, test = (
        data.arrays("train", limit=1000 if context.quick else 5000),
        data.arrays("test"),
    )
    spaces = {"pixels": lambda images: images.reshape(len(images), -1) / 255.0}
    if not context.quick:
        spaces["features"] = gradient_histograms
    accuracies, curves, points = {}, {}, {}
    for name, space in spaces.items():
        scores, best = choose(space(train["images"]), train["labels"])
        on_test = evaluate(
            space(train["images"]), train["labels"], space(test["images"]), test["labels"]
        )
        chosen = NEIGHBOURS[best]
        accuracies[name] = on_test[best]
        context.figure(f"{name}: chosen k", chosen, at_least=1, at_most=50)
        context.figure(f"{name}: accuracy of five folds at this k", scores[best].mean())
        context.figure(f"{name}: test accuracy at this k", on_test[best])
        context.figure(
            f"{name}: test accuracy of the best k, less that of the chosen one",
            max(on_test) - on_test[best],
            at_most=0.015,
        )
        curves[name] = NEIGHBOURS, scores.mean(axis=1)
        points[name] = np.repeat(NEIGHBOURS, 5), scores.ravel()
    if context.quick:
        context.figure("pixels: test accuracy", accuracies["pixels"], at_least=0.95)
    else:
        context.figure(
            "pixels: test accuracy of CIFAR-10", accuracies["pixels"], expected=0.29, tolerance=0.03
        )
        context.figure(
            "features less pixels, test accuracy",
            accuracies["features"] - accuracies["pixels"],
            at_least=0.1,
        )
    context.picture(
        "folds",
        chart(Panel("five folds", "k", "accuracy", curves, points, log="x"), height=3.2),
        "The accuracy of each fold (points) and their mean, by the number of neighbours.",
    )


def choose(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Accuracies `(k, fold)` of five folds, and which k has the best mean."""
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(x, labels)
    scores = np.transpose([evaluate(x[a], labels[a], x[b], labels[b]) for a, b in folds])
    return scores, int(scores.mean(axis=1).argmax())


def evaluate(x, labels, test_x, test_labels) -> list[float]:
    """The accuracy for each k; the neighbours are sought once."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=max(NEIGHBOURS), algorithm="brute").fit(x)
    votes = labels[nearest.kneighbors(test_x, return_distance=False)]  # (images, neighbours)
    counts = np.cumsum(np.eye(labels.max() + 1)[votes], axis=1)  # (images, neighbours, classes)
    return [float(np.mean(counts[:, k - 1].argmax(axis=1) == test_labels)) for k in NEIGHBOURS]


def gradient_histograms(images: np.ndarray, cell: int = 8, bins: int = 9) -> np.ndarray:
    """Histograms of oriented gradients.

    Args:
        images: `(n, height, width, channels)`, sides that are multiples of the cell's.
        cell: Side of a cell, in pixels.
        bins: Directions, between 0 and 180 degrees.

    Returns:
        `(n, cells * bins)`, of length 1.
    """
    grey = images.astype("float32").mean(axis=-1)
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    place = np.arctan2(down, right) % np.pi / np.pi * bins
    lower = np.floor(place).astype(int) % bins
    upper_share = place - np.floor(place)
    found = np.zeros((*grey.shape, bins), "float32")
    np.put_along_axis(found, lower[..., None], (strength * (1 - upper_share))[..., None], axis=-1)
    upper = np.zeros_like(found)
    np.put_along_axis(
        upper, ((lower + 1) % bins)[..., None], (strength * upper_share)[..., None], axis=-1
    )
    n, height, width = grey.shape
    cells = (
        (found + upper).reshape(n, height // cell, cell, width // cell, cell, bins).sum(axis=(2, 4))
    )
    flat = cells.reshape(n, -1)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)
