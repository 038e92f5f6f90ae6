"""Who learns and who examines: reproducible, stratified splits."""

from collections.abc import Mapping

import numpy as np

SPLITS = ("train", "validation", "test")
# For data that comes in one piece, and for the validation images of data that comes without.
ONE_PIECE = {"test": 0.2, "validation": 0.1}
HELD_OUT = {"validation": 0.1}


def stratified_split(
    labels: np.ndarray, fractions: Mapping[str, float], seed: int = 0
) -> dict[str, np.ndarray]:
    """Splits examples so that every split has each class in the same proportion.

    Args:
        labels: `(n,)` class numbers.
        fractions: Fraction of each class that is held out, by name of the split. A class of at
            least as many examples as there are splits has at least one in each; a smaller one
            stays in the training split first.
        seed: The split depends on this and on the labels, on nothing else.

    Returns:
        The indices of each split in ascending order, with `"train"` for what is left.
    """
    parts: dict[str, list[np.ndarray]] = {"train": [], **{name: [] for name in fractions}}
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = np.random.default_rng((seed, int(label))).permutation(members)
        for name, fraction in fractions.items():
            wanted = max(1, round(fraction * np.count_nonzero(labels == label)))
            count = min(wanted, len(members) - 1)
            parts[name].append(members[:count])
            members = members[count:]
        parts["train"].append(members)
    return {name: np.sort(np.concatenate(pieces)) for name, pieces in parts.items()}


def stratified_folds(labels: np.ndarray, folds: int, seed: int = 0) -> list[np.ndarray]:
    """Deals examples into folds that have each class in the same proportion.

    Args:
        labels: `(n,)` class numbers; all equal where there are none, and the folds are random.
        folds: How many.
        seed: The folds depend on this and on the labels, on nothing else.

    Returns:
        The indices of each fold in ascending order; every example is in one of them.

    Raises:
        ValueError: If a class has fewer examples than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    numbers, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        raise ValueError(
            f"folds={folds!r} is more than the {counts.min()} images of class number "
            f"{numbers[counts.argmin()]}."
        )
    dealer = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return [members for _, members in dealer.split(np.zeros(len(labels)), labels)]
