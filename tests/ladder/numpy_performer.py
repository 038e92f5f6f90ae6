"""The transformer with random features once more in NumPy: see `numpy_networks`."""

import math

import numpy as np
from numpy_networks import vit


def favor_attention(x, w, name, heads):
    """Scores written out between each query and each key, unlike the network's linear time."""
    batch, tokens, dim = x.shape
    joint = x @ w[f"{name}/qkv_kernel"] + w[f"{name}/qkv_bias"]
    query, key, value = joint.reshape(batch, tokens, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    projection = w[f"{name}/projection"]  # (features, dim / heads)

    def features(x):
        x = x / math.sqrt(math.sqrt(dim / heads))
        return np.exp(x @ projection.T - np.sum(x * x, axis=-1, keepdims=True) / 2)

    scores = features(query) @ features(key).swapaxes(-1, -2)  # (batch, heads, tokens, tokens)
    scores = scores / scores.sum(axis=-1, keepdims=True)
    x = (scores @ value).swapaxes(1, 2).reshape(batch, tokens, dim)
    return x @ w[f"{name}/output_kernel"] + w[f"{name}/output_bias"]


def performer(x, w, o):
    return vit(x, w, o, attend=favor_attention)
