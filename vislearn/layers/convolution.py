"""Convolution and pooling with the symmetric padding of the papers and of torch.

Keras pads `"same"` strided windows more to the right, as TensorFlow does; the published weights of
most families were trained with the same padding on both sides.
"""

import keras

from vislearn.layers.grouped_convolution import GroupedConv2D

PADDINGS = ("symmetric", "tensorflow")


def _pad(x, size: int, stride: int, name: str, padding: str = "symmetric"):
    """Pads so that a window of `size` gives ceil(input / stride) outputs."""
    if padding not in PADDINGS:
        raise ValueError(f"padding={padding!r} must be one of {PADDINGS}.")
    if stride == 1 or size == 1 or padding == "tensorflow":
        return x, "same"
    return keras.layers.ZeroPadding2D((size - 1) // 2, name=f"{name}_pad")(x), "valid"


def conv(x, filters: int, size: int, *, stride: int = 1, padding="symmetric", name: str, **options):
    """`Conv2D` without bias, with He's initialisation.

    Args:
        x: `(batch, height, width, channels)`.
        filters: Number of output channels.
        size: Odd side of the kernel.
        stride: Step in both directions.
        padding: `"symmetric"`, alike on both sides, or `"tensorflow"`, where a stride of 2 pads one
            pixel less at the start of an even side.
        name: Name of the layer.
        **options: Further arguments of `keras.layers.Conv2D`; with `groups`, the layer is a
            `GroupedConv2D`.

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), filters)`.

    Raises:
        ValueError: If the padding is neither.
    """
    x, mode = _pad(x, size, stride, name, padding)
    options = {"use_bias": False, "kernel_initializer": "he_normal", **options}
    layer = keras.layers.Conv2D if options.get("groups", 1) == 1 else GroupedConv2D
    return layer(filters, size, strides=stride, padding=mode, name=name, **options)(x)


def depthwise_conv(x, size: int, *, stride: int = 1, padding="symmetric", name: str, **options):
    """`DepthwiseConv2D` without bias: a kernel of its own for each channel.

    Args:
        x, size, stride, padding, name: As for `conv`.
        **options: Further arguments of `keras.layers.DepthwiseConv2D`.

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), channels)`.

    Raises:
        ValueError: If the padding is neither.
    """
    x, mode = _pad(x, size, stride, name, padding)
    # He's initialisation: an output reads one channel, which Keras counts as the fan-out.
    he = keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")
    options = {"use_bias": False, "depthwise_initializer": he, **options}
    return keras.layers.DepthwiseConv2D(size, strides=stride, padding=mode, name=name, **options)(x)


def max_pool(x, size: int = 3, *, stride: int = 2, name: str):
    """`MaxPooling2D` padded alike on both sides; the input must not be negative (after ReLU)."""
    x, padding = _pad(x, size, stride, name)
    return keras.layers.MaxPooling2D(size, stride, padding=padding, name=name)(x)
