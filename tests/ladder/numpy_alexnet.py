"""AlexNet once more in NumPy: see `numpy_networks`."""

import numpy as np
from numpy_networks import conv, dense, flat, max_pool, padded, relu, scaled, windows


def grouped_conv(x, w, name, groups, pad):
    """Each group reads its own share of the channels."""
    kernel, bias = w[f"{name}/kernel"], w[f"{name}/bias"]
    answers = [
        np.einsum("bhwcij,ijco->bhwo", windows(padded(part, pad), kernel.shape[0], 1), filters)
        for part, filters in zip(
            np.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True
        )
    ]
    return np.concatenate(answers, axis=-1) + bias


def response_norm(x):
    """Section 3.3 of the paper, with k = 2, n = 5, alpha = 1e-4, beta = 0.75."""
    channels = x.shape[-1]
    found = np.empty_like(x)
    for i in range(channels):
        near = x[..., max(0, i - 2) : min(channels - 1, i + 2) + 1]
        found[..., i] = x[..., i] / (2 + 1e-4 * (near**2).sum(axis=-1)) ** 0.75
    return found


def mean_grid(x, grid):
    """The average of each of `grid` times `grid` windows."""
    found = np.empty((len(x), grid, grid, x.shape[-1]))
    rows, columns = (
        [(i * side // grid, -(-(i + 1) * side // grid)) for i in range(grid)]
        for side in x.shape[1:3]
    )
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            found[:, i, j] = x[:, top:bottom, left:right].mean(axis=(1, 2))
    return found


def alexnet(x, w, o):
    normed = response_norm if o["response_norm"] else lambda x: x
    if o["preprocessing"] == "caffe":
        x = x - np.array([123.68, 116.779, 103.939])
    else:
        x = scaled(x, o["preprocessing"])
    pad = {2012: 0, 2014: 2}[o["edition"]]
    x = normed(relu(conv(x, w, "conv1", stride=4, pad=pad)))
    x = max_pool(x, 3, 2)
    x = normed(relu(grouped_conv(x, w, "conv2", o["groups"], 2)))
    x = max_pool(x, 3, 2)
    x = relu(conv(x, w, "conv3", pad=1))
    x = relu(grouped_conv(x, w, "conv4", o["groups"], 1))
    x = relu(grouped_conv(x, w, "conv5", o["groups"], 1))
    x = flat(mean_grid(max_pool(x, 3, 2), o["grid"]))
    for name in ("dense1", "dense2"):
        x = relu(dense(x, w, name))
    return dense(x, w, "head")
