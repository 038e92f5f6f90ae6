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
