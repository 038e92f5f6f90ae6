"""BN-Inception, which neither torchvision nor timm has, in NumPy: see `numpy_networks`."""

import numpy as np
from numpy_networks import batch_norm, conv, dense, padded, relu, scaled, windows


def max_pool(x, stride):
    """3x3 with the padding of TensorFlow: one pixel, on the right where strides leave one over."""
    before = 1 if stride == 1 or x.shape[1] % 2 else 0
    return windows(padded(x, before, 1, value=-np.inf), 3, stride).max(axis=(-2, -1))


def mean_pool(x):
    """3x3 over what is there: the padding doesn't count."""
    total, ones = (windows(padded(y, 1), 3, 1).sum(axis=(-2, -1)) for y in (x, np.ones_like(x)))
    return total / ones


def inception_v2(x, w, o):
    def unit(x, name, part, stride=1):
        pad = w[f"{name}_conv{part}/kernel"].shape[0] // 2
        x = conv(x, w, f"{name}_conv{part}", stride=stride, pad=pad)
        return relu(batch_norm(x, w, f"{name}_bn{part}", 1e-3))

    def module(x, name, pool):
        a = unit(x, f"{name}_branch1", 1)
        b = unit(unit(x, f"{name}_branch2", 1), f"{name}_branch2", 2)
        c = unit(unit(x, f"{name}_branch3", 1), f"{name}_branch3", 2)
        c = unit(c, f"{name}_branch3", 3)
        d = unit(pool(x), f"{name}_branch4", 1)
        return np.concatenate([a, b, c, d], axis=-1)

    def reduction(x, name):
        a = unit(unit(x, f"{name}_branch1", 1), f"{name}_branch1", 2, stride=2)
        b = unit(unit(x, f"{name}_branch2", 1), f"{name}_branch2", 2)
        b = unit(b, f"{name}_branch2", 3, stride=2)
        return np.concatenate([a, b, max_pool(x, 2)], axis=-1)

    x = windows(padded(scaled(x, "symmetric"), 3), 7, 2)  # (batch, rows, columns, channels, 7, 7)
    x = np.einsum("bhwcij,ijcm->bhwcm", x, w["stem_conv1/depthwise_kernel"])
    x = x.reshape(*x.shape[:3], -1)  # (batch, rows, columns, 8 * channels)
    x = x @ w["stem_conv1/pointwise_kernel"][0, 0]
    x = relu(batch_norm(x, w, "stem_bn1", 1e-3))
    x = unit(unit(max_pool(x, 2), "stem", 2), "stem", 3)
    x = max_pool(x, 2)
    for stage, count in enumerate(o["repeats"], start=3):
        if stage > 3:
            x = reduction(x, f"stage{stage}_reduction")
        for index in range(1, count + 1):
            last = (stage, index) == (5, 2)
            pool = (lambda y: max_pool(y, 1)) if last else mean_pool
            x = module(x, f"stage{stage}_block{index}", pool)
    return dense(x.mean(axis=(1, 2)), w, "head")
