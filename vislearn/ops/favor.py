"""Attention in linear time by random features (Choromanski et al., ICLR 2021, arXiv:2009.14794).

The exponential of a scalar product is an expectation over normal vectors w (Lemma 1):

    exp(q . k) = E[exp(w . q - |q|^2 / 2) * exp(w . k - |k|^2 / 2)]

so that with m samples of w the scores of N queries and N keys never need be written out.
"""

import numpy as np
from keras import ops

# Added to each feature, so that no query is without any.
EPSILON = 1e-6


def orthogonal_gaussian(features: int, dim: int, seed: int = 0) -> np.ndarray:
    """Normal vectors that are orthogonal in each group of `dim` (section 2.4).

    Their lengths are those of independent normal vectors, so that each is distributed as one;
    being orthogonal, they estimate with less variance (Theorem 2).

    Returns:
        `(features, dim)`, float32.
    """
    rng = np.random.default_rng(seed)
    blocks = []
    for start in range(0, features, dim):
        basis, triangle = np.linalg.qr(rng.normal(size=(dim, dim)))
        # With these signs the basis is distributed uniformly over the rotations and reflections.
        basis = basis * np.sign(np.diagonal(triangle))
        blocks.append(basis.T[: features - start])
    lengths = np.linalg.norm(rng.normal(size=(features, dim)), axis=1, keepdims=True)
    return (lengths * np.concatenate(blocks)).astype("float32")


def positive_features(x, projection, *, axis):
    """The features of Lemma 1, positive and so without attention of the wrong sign.

    Divided by the largest over `axis`, which exp can't overflow of. This changes no attention as
    long as all keys of a head share it, for it cancels in `linear_attention`.

    Args:
        x: Queries or keys `(..., tokens, dim)`, each divided by the fourth root of `dim`.
        projection: The vectors w, `(features, dim)`.
        axis: -1 for queries, (-2, -1) for keys.

    Returns:
        `(..., tokens, features)`.
    """
    products = ops.matmul(x, ops.transpose(projection))  # (..., tokens, features)
    logarithms = products - 0.5 * ops.sum(ops.square(x), axis=-1, keepdims=True)
    largest = ops.stop_gradient(ops.max(logarithms, axis=axis, keepdims=True))
    scale = projection.shape[0] ** -0.5
    return scale * (ops.exp(logarithms - largest) + EPSILON)


def linear_attention(query, key, value):
    """Means of the values, weighted by scalar products of features (equation 4).

    The product of keys and values comes first, which is what makes the time linear in the tokens.

    Args:
        query, key: Features `(..., tokens, features)`.
        value: `(..., tokens, dim)`.

    Returns:
        `(..., tokens, dim)`.
    """
    mixed = ops.matmul(ops.swapaxes(key, -1, -2), value)  # (..., features, dim)
    sums = ops.expand_dims(ops.sum(key, axis=-2), -1)  # (..., features, 1)
    return ops.matmul(query, mixed) / ops.matmul(query, sums)
