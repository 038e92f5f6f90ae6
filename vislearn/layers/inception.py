"""Inception modules (Szegedy et al. 2015, arXiv:1409.4842): branches beside each other."""

import itertools

from keras import layers

from vislearn.layers.batch_normalization import BatchNormalization
from vislearn.layers.convolution import conv


def batch_norm(x, *, gamma=True, name):
    """Batch normalisation with the epsilon and momentum of the published weights."""
    return BatchNormalization(momentum=0.9, epsilon=1e-3, scale=gamma, name=name)(x)


def unit(
    x,
    filters,
    size,
    stride=1,
    padding="same",
    *,
    width=1.0,
    gamma=True,
    initializer="he_normal",
    name,
    part="1",
):
    """Convolution, batch norm and ReLU: `{name}_conv{part}`, `{name}_bn{part}`, ...

    Args:
        x: `(batch, height, width, channels)`.
        filters, size, stride: Of the convolution.
        padding: `"same"`, alike on both sides, or `"valid"`.
        width: Factor on the filters.
        gamma: Whether batch norm has a scale.
        initializer: Of the kernel.
        name, part: Names of the layers.
    """
    options = {"kernel_initializer": initializer, "name": f"{name}_conv{part}"}
    filters = scaled(filters, width)
    if padding == "same":
        x = conv(x, filters, size, stride=stride, **options)
    else:
        x = layers.Conv2D(filters, size, strides=stride, use_bias=False, **options)(x)
    x = batch_norm(x, gamma=gamma, name=f"{name}_bn{part}")
    return layers.ReLU(name=f"{name}_relu{part}")(x)


def scaled(filters: int, width: float) -> int:
    """A number of filters in a network of another width."""
    return max(1, round(filters * width))


def pool(x, kind, size, stride=1, padding="same", *, count_padding=False, name):
    """Pools; an average over zeros of the padding counts them with `count_padding`, as in torch."""
    if kind == "max":
        return layers.MaxPooling2D(size, stride, padding=padding, name=name)(x)
    if count_padding:
        x, padding = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x), "valid"
    return layers.AveragePooling2D(size, stride, padding=padding, name=name)(x)


def mixed(x, branches, *, count_padding=False, name, **options):
    """An inception module: branches beside each other, concatenated.

    Args:
        x: `(batch, height, width, channels)`.
        branches: Lists of steps. A step is a convolution `(filters, size)`, `(filters, size,
            stride)` or `(filters, size, stride, padding)`; a pooling, with `"max"` or `"avg"` for
            the filters; or a list of two convolutions that stand beside each other.
        count_padding: See `pool`.
        name: Start of all names.
        **options: Of `unit`.
    """
    outputs = []
    for number, steps in enumerate(branches, start=1):
        path, y, parts = f"{name}_branch{number}", x, itertools.count(1)
        for step in steps:
            if isinstance(step, list):
                part = next(parts)
                fork = [
                    unit(y, *one, name=path, part=f"{part}{letter}", **options)
                    for one, letter in zip(step, "ab", strict=True)
                ]
                y = layers.Concatenate(name=f"{path}_concat")(fork)
            elif step[0] in ("max", "avg"):
                y = pool(y, *step, count_padding=count_padding, name=f"{path}_pool")
            else:
                y = unit(y, *step, name=path, part=str(next(parts)), **options)
        outputs.append(y)
    return layers.Concatenate(name=f"{name}_concat")(outputs)
