"""How good, how varied and how new generated pictures are.

Fréchet distance: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", arXiv:1706.08500.
Kernel distance: Bińkowski et al., "Demystifying MMD GANs", arXiv:1801.01401. Inception score:
Salimans et al., "Improved Techniques for Training GANs", arXiv:1606.03498.

The distances compare features of a network. The published figures are those of one set of weights
of Inception-v3; a classifier that was trained on the pictures' own data gives figures that compare
models with one another, and with nothing else.
"""

import dataclasses
import warnings

import numpy as np

# Features ---------------------------------------------------------------------------------------


def features(model, images, batch_size: int = 64) -> np.ndarray:
    """What the last layer of a classifier reads: its description of each picture.

    Args:
        model: A functional classifier from pixels 0..255.
        images: `(n, height, width, channels)`, 0..255.
        batch_size: Pictures at a time.

    Returns:
        `(n, features)` float64.

    Raises:
        ValueError: If what the last layer reads is no vector.
    """
    import keras

    last = model.layers[-1].input
    if not isinstance(last, keras.KerasTensor) or len(last.shape) != 2:
        raise ValueError(
            f"model={model.name!r}: its last layer, {model.layers[-1].name!r}, must read one "
            "vector a picture, (batch, features)."
        )
    return _predict(keras.Model(model.input, last), images, batch_size)


def inception_features(images, weights: str, batch_size: int = 32) -> np.ndarray:
    """The 2048 pooled features of keras.applications' Inception-v3.

    Its weights are not those of the published figures, which it does not reproduce exactly.

    Args:
        images: `(n, height, width, 3)`, 0..255; enlarged or shrunk to 299 x 299.
        weights: A file of weights of `keras.applications.InceptionV3(include_top=False)`.
        batch_size: Pictures at a time.

    Returns:
        `(n, 2048)` float64.
    """
    import keras
    from keras import layers

    inputs = keras.Input(np.shape(images)[1:])
    x = layers.Resizing(299, 299)(inputs)
    x = layers.Rescaling(1 / 127.5, -1.0)(x)
    network = keras.applications.InceptionV3(include_top=False, weights=weights, pooling="avg")
    return _predict(keras.Model(inputs, network(x, training=False)), images, batch_size)


def _predict(network, images, batch_size: int) -> np.ndarray:
    parts = [
        network.predict_on_batch(np.asarray(images[start : start + batch_size], "float32"))
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts).astype("float64")


# Distances between two sets of features -----------------------------------------------------------


def frechet_distance(real, generated) -> float:
    """Fréchet distance of two sets of features, each taken for a normal distribution.

    It is biased: with fewer examples it is larger. Compare only figures of equally many.

    Args:
        real: `(n, features)`.
        generated: `(m, features)`.

    Returns:
        The squared distance, as it is always reported; 0 for equal means and covariances.

    Raises:
        ValueError: If the sets are not two-dimensional, of different width, or of fewer than two.
    """
    real, generated = _checked(real, generated)
    fewest, width = min(len(real), len(generated)), real.shape[1]
    if fewest <= width:
        warnings.warn(
            f"The covariance of {width} features is estimated from only {fewest} examples: the "
            "Fréchet distance is far too large. Take more, or kernel_distance.",
            stacklevel=2,
        )
    return frechet_distance_of_gaussians(*_gaussian(real), *_gaussian(generated))


def frechet_distance_of_gaussians(mean, covariance, other_mean, other_covariance) -> float:
    """`|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))` (arXiv:1706.08500, eq. 6)."""
    root = _root(covariance)
    # C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), which are never negative.
    values = np.linalg.eigvalsh(root @ other_covariance @ root)
    trace_of_root = np.sqrt(np.maximum(values, 0)).sum()
    gap = np.sum((np.asarray(mean) - other_mean) ** 2)
    return float(gap + np.trace(covariance) + np.trace(other_covariance) - 2 * trace_of_root)


def _gaussian(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=0), np.atleast_2d(np.cov(values, rowvar=False))


def _root(covariance) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def kernel_distance(
    real, generated, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Kernel distance (KID): the unbiased squared MMD with the kernel `(x y / features + 1)^3`.

    Unlike the Fréchet distance it is right on average however few examples there are, and may so
    be a little negative for sets that are alike.

    Args:
        real: `(n, features)`.
        generated: `(m, features)`.
        subsets: Number of random subsets that are averaged.
        subset_size: Examples of each set in a subset, at most all.
        seed: Seed of the subsets.

    Returns:
        The mean over the subsets, and its standard error as if they were independent.

    Raises:
        ValueError: As for `frechet_distance`, or if there are fewer than two subsets.
    """
    real, generated = _checked(real, generated)
    if subsets < 2 or subset_size < 2:
        raise ValueError(f"subsets={subsets!r} and subset_size={subset_size!r} must be at least 2.")
    size = min(subset_size, len(real), len(generated))
    rng = np.random.default_rng(seed)
    found = [
        squared_mmd(
            real[rng.choice(len(real), size, replace=False)],
            generated[rng.choice(len(generated), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(subsets))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of the squared MMD (arXiv:1801.01401, eq. 4), for equally many."""
    count, width = x.shape

    def kernel(a, b):
        return (a @ b.T / width + 1) ** 3

    def mean_of_pairs(a):
        products = kernel(a, a)
        return (products.sum() - np.trace(products)) / (count * (count - 1))

    return mean_of_pairs(x) + mean_of_pairs(y) - 2 * kernel(x, y).mean()


def _checked(real, generated) -> tuple[np.ndarray, np.ndarray]:
    real, generated = np.asarray(real, "float64"), np.asarray(generated, "float64")
    for argument, value in (("real", real), ("generated", generated)):
        if value.ndim != 2 or len(value) < 2:
            raise ValueError(
                f"{argument} has shape {value.shape}: it must be (n, features), n at least 2."
            )
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"real has {real.shape[1]} features and generated {generated.shape[1]}: take both from "
            "one network."
        )
    return real, generated


# Variety ------------------------------------------------------------------------------------------


def inception_score(probabilities) -> float:
    """`exp(E KL(p(class | picture) || p(class)))`: 1 to the number of classes.

    High where each picture is of one class beyond doubt, and the pictures are of all classes. It
    never looks at real pictures.

    Args:
        probabilities: `(n, classes)`, each row summing to 1.

    Raises:
        ValueError: If the rows are no distributions.
    """
    p = np.asarray(probabilities, "float64")
    if p.ndim != 2 or p.min() < 0 or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            f"probabilities of shape {p.shape} must be (n, classes), each row summing to 1."
        )
    log_ratio = np.log(np.maximum(p, 1e-12)) - np.log(np.maximum(p.mean(axis=0), 1e-12))
    return float(np.exp(np.mean(np.sum(p * log_ratio, axis=1))))


# Novelty ------------------------------------------------------------------------------------------


def nearest(queries, candidates, chunk: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """For each query the nearest candidate by Euclidean distance, of pixels or of features.

    Args:
        queries: `(n, ...)`.
        candidates: `(m, ...)`, of the same shape but for their number.
        chunk: Queries at a time: memory holds `chunk * m` distances.

    Returns:
        `(n,)` numbers of the candidates and `(n,)` distances.

    Raises:
        ValueError: If the shapes differ or there are no candidates.
    """
    queries, candidates = np.asarray(queries), np.asarray(candidates)
    if queries.shape[1:] != candidates.shape[1:] or not len(candidates):
        raise ValueError(
            f"candidates of shape {candidates.shape} can't be compared with queries of shape "
            f"{queries.shape}."
        )
    flat = candidates.reshape(len(candidates), -1).astype("float32")
    squares = np.einsum("nd,nd->n", flat, flat)
    numbers = []
    for start in range(0, len(queries), chunk):
        part = queries[start : start + chunk].reshape(-1, flat.shape[1]).astype("float32")
        # |q - c|^2 without |q|^2, which is the same for all candidates.
        numbers.append(np.argmin(squares - 2 * part @ flat.T, axis=1))
    best = np.concatenate(numbers) if numbers else np.zeros(0, int)
    # Once more in float64: a difference of large squares would hide that two pictures are equal.
    gaps = queries.astype("float64") - candidates[best]
    return best, np.sqrt(np.sum(gaps.reshape(len(best), -1) ** 2, axis=1))


@dataclasses.dataclass(frozen=True)
class Copies:
    """Which generated pictures are as good as copied from the training set.

    Attributes:
        nearest: `(n,)` numbers of the training pictures that are nearest to the generated ones.
        distance: `(n,)` how far they are.
        threshold: Distance below which a picture counts as a copy.
        share: Share of the generated pictures that are nearer than that.
    """

    nearest: np.ndarray
    distance: np.ndarray
    threshold: float
    share: float


def find_copies(generated, training, held_out, *, quantile: float = 0.01) -> Copies:
    """Compares generated pictures with the training set, and real ones that are not in it.

    A generator that learned nothing by heart comes as near to its training pictures as other real
    pictures do: then `share` is about `quantile`.

    Args:
        generated, training, held_out: Pictures or features `(n, ...)` of equal shapes but for
            their numbers; `held_out` are real pictures that the generator was not trained on.
        quantile: Share of the held-out pictures that would count as copies.

    Raises:
        ValueError: If the shapes differ, or the quantile is not in 0..1.
    """
    if not 0 <= quantile <= 1:
        raise ValueError(f"quantile={quantile!r} must be between 0 and 1.")
    numbers, distance = nearest(generated, training)
    threshold = float(np.quantile(nearest(held_out, training)[1], quantile))
    return Copies(numbers, distance, threshold, float(np.mean(distance < threshold)))


# Likelihood ---------------------------------------------------------------------------------------


def bits_per_dimension(nats, dimensions: int, level: float = 1.0):
    """A negative log-likelihood as bits for each value of a picture.

    Args:
        nats: Negative log-likelihood of a picture in nats: a number or an array.
        dimensions: Values in a picture, height x width x channels.
        level: Width of one of the 256 pixel levels in the units of a density: 1 for 0..255 and for
            probabilities of whole levels, 1/256 for 0..1, 2/256 for -1..1.

    Raises:
        ValueError: If `dimensions` or `level` is not positive.
    """
    if dimensions <= 0 or level <= 0:
        raise ValueError(f"dimensions={dimensions!r} and level={level!r} must be positive.")
    return np.asarray(nats) / (dimensions * np.log(2)) - np.log2(level)
