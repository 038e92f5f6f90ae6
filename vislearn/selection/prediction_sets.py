"""Split conformal prediction: sets of classes that hold the true one with a stated probability.

Angelopoulos and Bates 2021, "A Gentle Introduction to Conformal Prediction and Distribution-Free
Uncertainty Quantification", arXiv:2107.07511, sections 1 and 2.1. Whatever the network, and however
wrong its scores, the set of a new image holds its class with at least the stated probability,
if the image is exchangeable with those of the calibration. That is an average over images and
calibrations: single classes may be covered less, and the report shows how much.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from vislearn.selection.runs import write_json
from vislearn.training.evaluation import predict_arrays
from vislearn.training.run import Run

SCORES = ("lac", "aps")


def lac_scores(probabilities: np.ndarray) -> np.ndarray:
    """How little each class conforms: 1 - its probability (Sadinle et al. 2019, section 1).

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.

    Returns:
        `(n, classes)`, 0 to 1.
    """
    return 1 - np.asarray(probabilities, np.float64)


def aps_scores(probabilities: np.ndarray) -> np.ndarray:
    """How little each class conforms: the mass of all classes at least as likely, itself included.

    Adaptive prediction sets (Romano et al. 2020, arXiv:2006.02544; section 2.1), without their
    randomisation. Of classes that tie, the one of the lower number counts as likelier.

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.

    Returns:
        `(n, classes)`, 0 to 1.
    """
    probabilities = np.asarray(probabilities, np.float64)
    order = np.argsort(-probabilities, axis=1, kind="stable")  # (n, classes), likeliest first
    masses = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    found = np.empty_like(masses)
    np.put_along_axis(found, order, masses, axis=1)
    return found


_SCORES = {"lac": lac_scores, "aps": aps_scores}


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest of n scores.

    A further, exchangeable score is at most as large with a probability of at least `coverage`, and
    of at most `coverage` + 1 / (n + 1) where no two scores are equal (appendix D).

    Args:
        scores: `(n,)`.
        coverage: Above 0 and below 1.

    Raises:
        ValueError: If the coverage is out of range, or the scores are too few for it.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage!r} must be above 0 and below 1.")
    # Less the rounding of 0.95 and its like, which would ask for one score more.
    rank = max(1, math.ceil((len(scores) + 1) * coverage - 1e-9))
    if rank > len(scores):
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise ValueError(
            f"coverage={coverage!r} needs at least {least} calibration images, "
            f"and there are {len(scores)}."
        )
    return float(np.sort(scores)[rank - 1])


@dataclasses.dataclass(frozen=True)
class PredictionSets:
    """What makes sets of classes from a classifier's probabilities; made by `calibrate`.

    Attributes:
        method: `"lac"`, with the smallest sets on average, which may be empty where the network
            knows none of the classes well; or `"aps"`, whose sets grow with the difficulty of the
            image and hold at least the likeliest class.
        coverage: Probability with which a set holds the true class.
        threshold: Classes of scores up to here belong to the set.
        images: Number of calibration images.
    """

    method: str
    coverage: float
    threshold: float
    images: int

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """The sets of images.

        Args:
            probabilities: `(n, classes)`, rows that sum to 1.

        Returns:
            `(n, classes)` bool, whether the class belongs to the image's set.
        """
        found = _SCORES[self.method](probabilities) <= self.threshold
        if self.method == "aps":
            # Adding a class never lowers the coverage, and an empty set would help nobody.
            found[np.arange(len(found)), np.argmax(probabilities, axis=1)] = True
        return found


def calibrate(
    probabilities: np.ndarray, labels: np.ndarray, *, coverage: float = 0.9, method: str = "aps"
) -> PredictionSets:
    """Finds the threshold on images that the network did not learn from.

    Args:
        probabilities: `(n, classes)`, rows that sum to 1.
        labels: `(n,)` the true class numbers.
        coverage: Probability with which a set shall hold the true class.
        method: `"lac"` or `"aps"`; see `PredictionSets`.

    Raises:
        ValueError: If an argument is out of range, or the images are too few for the coverage.
    """
    if method not in SCORES:
        raise ValueError(f"method={method!r} must be one of {SCORES}.")
    if np.ndim(probabilities) != 2 or np.shape(labels) != np.shape(probabilities)[:1]:
        raise ValueError(
            f"probabilities and labels have the shapes {np.shape(probabilities)} and "
            f"{np.shape(labels)}; they must be (n, classes) and (n,)."
        )
    scores = _SCORES[method](probabilities)
    own = np.take_along_axis(scores, np.asarray(labels)[:, None], axis=1)[:, 0]  # (n,)
    return PredictionSets(method, coverage, conformal_quantile(own, coverage), len(own))


def measure(sets: np.ndarray, labels: np.ndarray, classes) -> dict[str, Any]:
    """Coverage and size of prediction sets, altogether and by true class.

    Args:
        sets: `(n, classes)` bool.
        labels: `(n,)` the true class numbers.
        classes: Names of the classes.

    Returns:
        `images`, `coverage` (the share of sets that hold the true class), `mean_size`, `sizes` (the
        number of sets of each size that occurs), and `classes`: the first three by class name;
        None for coverage and size of a class without images.
    """
    labels = np.asarray(labels)
    held, sizes = sets[np.arange(len(sets)), labels], sets.sum(axis=1)
    by_class = {}
    for number, name in enumerate(classes):
        mine = labels == number
        some = bool(mine.any())
        by_class[name] = {
            "images": int(mine.sum()),
            "coverage": float(held[mine].mean()) if some else None,
            "mean_size": float(sizes[mine].mean()) if some else None,
        }
    values, counts = np.unique(sizes, return_counts=True)
    return {
        "images": len(labels),
        "coverage": float(held.mean()),
        "mean_size": float(sizes.mean()),
        "sizes": {str(size): int(count) for size, count in zip(values, counts, strict=True)},
        "classes": by_class,
    }


def conformal(
    run: str | Path, *, coverage: float = 0.9, method: str = "aps", out: str | Path | None = None
) -> dict[str, Any]:
    """Calibrates a trained classifier on its validation images and measures on its test images.

    The validation images have also chosen the best epoch: they are a little easier for the network
    than new ones, and the sets a little too small. Compare the measured coverage.

    Args:
        run: Folder of a run or an ensemble.
        coverage, method: See `calibrate`.
        out: The JSON to write, with a picture of the same name beside it; None for
            `conformal_METHOD.json` in the run.

    Returns:
        The fields of `PredictionSets`, and `test`: see `measure`.

    Raises:
        ValueError: If the run is no classifier, its data has no validation or test images, or the
            validation images are too few for the coverage.
    """
    from vislearn import pictures

    opened = Run.open(run)
    if opened.config.task != "classification":
        raise ValueError(
            f"{opened.folder} is of the task {opened.config.task!r}, and prediction sets are of "
            "classes."
        )
    path = opened.folder / f"conformal_{method}.json" if out is None else Path(out)
    if path.suffix != ".json":
        raise ValueError(f"out={str(path)!r} must end with .json; the picture lies beside it.")
    model, task, data = opened.model(), opened.task(), opened.data()
    if missing := {"validation", "test"} - {*data.info.counts}:
        raise ValueError(f"{opened.folder}: its data has no {sorted(missing)} images.")
    known = {split: data.arrays(split) for split in ("validation", "test")}
    scores = {
        split: predict_arrays(model, task, truth["images"])["scores"]
        for split, truth in known.items()
    }
    sets = calibrate(
        scores["validation"], known["validation"]["labels"], coverage=coverage, method=method
    )
    found = measure(sets(scores["test"]), known["test"]["labels"], task.classes)
    result = {**dataclasses.asdict(sets), "test": found}
    rows = [*found["classes"].values()]
    figure = pictures.coverage_bars(
        [math.nan if row["coverage"] is None else row["coverage"] for row in rows],
        [math.nan if row["mean_size"] is None else row["mean_size"] for row in rows],
        task.classes,
        stated=coverage,
    )
    pictures.save(figure, path.with_suffix(".png"))
    write_json(path, result)
    return result
