"""Convolution and pooling with the symmetric padding of the papers and of torch.

Keras pads `"same"` strided windows more to the right; the published weights of most families were
trained with the same padding on both sides.
"""

import keras


def _pad(x, size: int, stride: int, name: str):
    """Pads so that a window of `size` gives ceil(input / stride) outputs, alike on both sides."""
    if stride == 1 or size == 1:
        return x, "same"
    return keras.layers.ZeroPadding2D((size - 1) // 2, name=f"{name}_pad")(x), "valid"


def conv(x, filters: int, size: int, *, stride: int = 1, name: str, **options):
    """`Conv2D` without bias, padded alike on both sides, with He's initialisation.

    Args:
        x: `(batch, height, width, channels)`.
        filters: Number of output channels.
        size: Odd side of the kernel.
        stride: Step in both directions.
        name: Name of the layer.
        **options: Further arguments of `keras.layers.Conv2D`.

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), filters)`.
    """
    x, padding = _pad(x, size, stride, name)
    options = {"use_bias": False, "kernel_initializer": "he_normal", **options}
    return keras.layers.Conv2D(
        filters, size, strides=stride, padding=padding, name=name, **options
    )(x)


def max_pool(x, size: int = 3, *, stride: int = 2, name: str):
    """`MaxPooling2D` padded alike on both sides; the input must not be negative (after ReLU)."""
    x, padding = _pad(x, size, stride, name)
    return keras.layers.MaxPooling2D(size, stride, padding=padding, name=name)(x)
