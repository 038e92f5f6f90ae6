"""The inverted residual of MobileNetV2 (arXiv:1801.04381), V3 and EfficientNet ("MBConv")."""

from collections.abc import Callable

from keras import layers

from vislearn.layers.convolution import conv, depthwise_conv
from vislearn.layers.stochastic_depth import StochasticDepth


def round_filters(filters: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, or the next where that takes more than a tenth away."""
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * filters else rounded


def conv_block(
    x,
    filters: int,
    size: int,
    *,
    stride: int = 1,
    activation: str,
    norm: Callable,
    padding: str = "symmetric",
    name: str,
):
    """Convolution, normalisation and activation: `stem` and `top` of these networks.

    Args:
        x, filters, size, stride, padding: As for `conv`.
        activation: Keras activation.
        norm: Function of `(x, name=...)` that normalises.
        name: Start of the layers' names.

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), filters)`.
    """
    x = conv(x, filters, size, stride=stride, padding=padding, name=f"{name}_conv")
    x = norm(x, name=f"{name}_bn")
    return layers.Activation(activation, name=f"{name}_act")(x)


def inverted_residual(
    x,
    filters: int,
    *,
    expanded: int,
    size: int = 3,
    stride: int = 1,
    activation: str = "relu6",
    norm: Callable,
    squeeze: Callable | None = None,
    padding: str = "symmetric",
    drop_rate: float = 0.0,
    name: str,
):
    """1x1 up, a depthwise convolution, 1x1 down, between narrow ends that the shortcut joins.

    Args:
        x: `(batch, height, width, channels)`.
        filters: Number of output channels.
        expanded: Number of channels between; there is no first convolution where it is `channels`.
        size: Odd side of the depthwise kernel.
        stride: Its step.
        activation: Keras activation after the first two; there is none after the last.
        norm: Function of `(x, name=...)` that normalises after each convolution.
        squeeze: Function of `(x, name=...)` for after the depthwise convolution, such as a part of
            `squeeze_excitation`.
        padding: Of the depthwise convolution; see `conv`.
        drop_rate: Rate at which training drops the block where there is a shortcut.
        name: Start of the layers' names.

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), filters)`.
    """
    shortcut = x
    if expanded != x.shape[-1]:
        x = conv(x, expanded, 1, name=f"{name}_expand_conv")
        x = norm(x, name=f"{name}_expand_bn")
        x = layers.Activation(activation, name=f"{name}_expand_act")(x)
    x = depthwise_conv(x, size, stride=stride, padding=padding, name=f"{name}_depthwise_conv")
    x = norm(x, name=f"{name}_depthwise_bn")
    x = layers.Activation(activation, name=f"{name}_depthwise_act")(x)
    if squeeze is not None:
        x = squeeze(x, name=f"{name}_se")
    x = conv(x, filters, 1, name=f"{name}_project_conv")
    x = norm(x, name=f"{name}_project_bn")
    if stride > 1 or shortcut.shape[-1] != filters:
        return x
    if drop_rate > 0:
        x = StochasticDepth(drop_rate, name=f"{name}_drop")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])
