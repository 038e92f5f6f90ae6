"""The parts of residual networks (He et al. 2015, arXiv:1512.03385) that several families share."""

from collections.abc import Callable, Sequence

from keras import layers

from vislearn.layers.batch_normalization import BatchNormalization
from vislearn.layers.convolution import conv, max_pool
from vislearn.layers.stochastic_depth import StochasticDepth, drop_rates


def batch_norm(x, *, name: str, **options):
    """Batch normalisation with the epsilon and momentum of the published weights."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name, **options)(x)


def bottleneck_block(
    x,
    filters: int,
    *,
    stride: int = 1,
    drop_rate: float = 0.0,
    name: str,
    stride_in_1x1: bool = False,
    widen: int = 1,
    groups: int = 1,
):
    """1x1 down, 3x3, 1x1 up to four times the filters (Figure 5, right).

    Args:
        x: `(batch, height, width, channels)`.
        filters: A quarter of the output channels.
        stride: Step of the 3x3 convolution.
        drop_rate: Rate at which training drops the branch.
        name: Start of the layers' names.
        stride_in_1x1: Step in the first 1x1 convolution instead.
        widen: Factor on the filters of the first two convolutions.
        groups: Groups of the 3x3 convolution (ResNeXt, arXiv:1611.05431, Figure 3c).

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), 4 * filters)`.
    """
    shortcut = projection(x, 4 * filters, stride=stride, name=name)
    strides = (stride, 1) if stride_in_1x1 else (1, stride)
    x = conv(x, widen * filters, 1, stride=strides[0], name=f"{name}_conv1")
    x = batch_norm(x, name=f"{name}_bn1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv(x, widen * filters, 3, stride=strides[1], groups=groups, name=f"{name}_conv2")
    x = batch_norm(x, name=f"{name}_bn2")
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = conv(x, 4 * filters, 1, name=f"{name}_conv3")
    x = batch_norm(x, name=f"{name}_bn3")
    return merge(x, shortcut, drop_rate, name=name)


def projection(x, filters: int, *, stride: int, name: str):
    """The shortcut: the identity, or a 1x1 convolution where the shape changes (option B)."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    x = conv(x, filters, 1, stride=stride, name=f"{name}_shortcut_conv")
    return batch_norm(x, name=f"{name}_shortcut_bn")


def merge(x, shortcut, drop_rate: float = 0.0, *, name: str):
    """Adds the branch to the shortcut, dropping the branch in training at `drop_rate`."""
    if drop_rate > 0:
        x = StochasticDepth(drop_rate, name=f"{name}_drop")(x)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_out")(x)


def stem(x, filters: int):
    """The start of residual networks for large images: to a quarter of height and width."""
    x = conv(x, filters, 7, stride=2, name="stem_conv")
    x = batch_norm(x, name="stem_bn")
    x = layers.ReLU(name="stem_relu")(x)
    return max_pool(x, name="stem_pool")


def stages(x, block: Callable, repeats: Sequence[int], width: int, drop_path_rate: float = 0.0):
    """The stages, each at half the size and with twice the filters of the one before.

    Args:
        x: `(batch, height, width, channels)` at stride 4.
        block: Function of `(x, filters, stride=..., drop_rate=..., name=...)`.
        repeats: Blocks in each stage.
        width: Filters of the first stage.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        The last endpoint; they are called `C2` (stride 4), `C3`, ...
    """
    rates = iter(drop_rates(drop_path_rate, sum(repeats)))
    for stage, count in enumerate(repeats):
        for index in range(count):
            x = block(
                x,
                width * 2**stage,
                stride=2 if stage > 0 and index == 0 else 1,
                drop_rate=next(rates),
                name=f"stage{stage + 1}_block{index + 1}",
            )
        x = layers.Identity(name=f"C{stage + 2}")(x)
    return x
