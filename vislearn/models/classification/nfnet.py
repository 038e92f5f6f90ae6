"""NFNets: residual networks without normalisation.

Brock et al., "High-Performance Large-Scale Image Recognition Without Normalization", ICML 2021,
arXiv:2102.06171, after Brock et al., "Characterizing signal propagation to close the performance
gap in unnormalized ResNets", ICLR 2021, arXiv:2101.08692; squeeze and excitation from Hu et al.,
arXiv:1709.01507; stochastic depth from Huang et al., arXiv:1603.09382.

Kernels are standardised and activations scaled, so that the variance of the signal is known at
each block; each block divides by its root. What the paper needs for large batches beside that,
adaptive gradient clipping, is `agc` of the training's recipe.

What differs from the paper: the epsilon of the standardisation is added to a kernel's variance, as
in timm, where the authors bound fan-in times variance from below. NFNet-F0 at 192x192: 71.5 million
parameters, 6.98 G multiply-adds.
"""

import math

import keras
from keras import layers

from vislearn.layers import (
    ScaledStandardizedConv2D,
    SkipInit,
    StochasticDepth,
    classification_head,
    drop_rates,
    preprocess,
    squeeze_excitation,
)
from vislearn.registry import Paper, register

NFNET = Paper(
    "High-Performance Large-Scale Image Recognition Without Normalization",
    "Andrew Brock, Soham De, Samuel L. Smith, Karen Simonyan",
    2021,
    "https://arxiv.org/abs/2102.06171",
)

# Makes the variance 1 again that GELU leaves of a unit normal (gamma in 2101.08692).
GAMMA = 1.7015043497085571
# Squeeze and excitation halves the signal on average; the paper multiplies by 2.
ATTENTION_GAIN = 2.0


def conv(x, filters, size, *, stride=1, groups=1, name):
    """A standardised convolution with the initialisation of LeCun et al.; it has a bias."""
    return ScaledStandardizedConv2D(
        filters,
        size,
        strides=stride,
        groups=groups,
        padding="same",
        kernel_initializer="lecun_normal",
        name=name,
    )(x)


def activation(x, *, beta=1.0, name):
    """GELU that keeps the variance, times `beta`."""
    x = layers.Activation("gelu", name=name)(x)
    return layers.Rescaling(GAMMA * beta, name=f"{name}_scale")(x)


def nf_block(x, filters, *, stride, group_size, alpha, beta, drop_rate, name):
    """A bottleneck of four convolutions, two of them grouped 3x3 (section 5 of the paper)."""
    inner = filters // 2
    y = activation(x, beta=beta, name=f"{name}_gelu1")
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = transition(y, filters, stride=stride, name=f"{name}_shortcut")
    y = conv(y, inner, 1, name=f"{name}_conv1")
    y = activation(y, name=f"{name}_gelu2")
    y = conv(y, inner, 3, stride=stride, groups=inner // group_size, name=f"{name}_conv2")
    y = activation(y, name=f"{name}_gelu3")
    y = conv(y, inner, 3, groups=inner // group_size, name=f"{name}_conv3")
    y = activation(y, name=f"{name}_gelu4")
    y = conv(y, filters, 1, name=f"{name}_conv4")
    y = squeeze_excitation(y, filters // 2, name=f"{name}_se")
    if drop_rate > 0:
        y = StochasticDepth(drop_rate, name=f"{name}_drop")(y)
    y = SkipInit(ATTENTION_GAIN * alpha, name=f"{name}_skip_init")(y)
    return layers.Add(name=f"{name}_add")([shortcut, y])


def transition(x, filters, *, stride, name):
    """The shortcut where the shape changes: the mean of 2x2 pixels, and a 1x1 convolution."""
    if stride > 1:
        x = layers.AveragePooling2D(2, stride, padding="same", name=f"{name}_pool")(x)
    return conv(x, filters, 1, name=f"{name}_conv")


def stem(x, filters):
    """Four 3x3 convolutions down to stride 4, from an eighth of the filters to all of them."""
    widths, strides = (filters // 8, filters // 4, filters // 2, filters), (2, 1, 1, 2)
    for index, (width, stride) in enumerate(zip(widths, strides, strict=True), start=1):
        if index == 4:
            x = layers.Identity(name="C1")(x)
        if index > 1:
            x = activation(x, name=f"stem_gelu{index}")
        x = conv(x, width, 3, stride=stride, name=f"stem_conv{index}")
    return x


@register(
    "nfnet_f0",
    paper=NFNET,
    family="nfnet",
    input_shape=(192, 192, 3),
    num_classes=1000,
    reference_params=71_489_284,
    reference_gmacs=6.9770,
    reference="timm 1.0.31 dm_nfnet_f0",
    tiny={
        "input_shape": (32, 32, 3),
        "num_classes": 5,
        "repeats": (1, 2),
        "filters": (16, 32),
        "group_size": 4,
        "dropout": 0.0,
        "drop_path_rate": 0.0,
    },
    dropout=0.2,
    drop_path_rate=0.25,
)
def nfnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="nfnet",
    repeats=(1, 2, 6, 3),
    filters=(256, 512, 1536, 1536),
    group_size=128,
    alpha=0.2,
    dropout=0.0,
    drop_path_rate=0.0,
) -> keras.Model:
    """An NFNet (section 5 and Table 1 of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Blocks in each stage; F1 has twice those of F0, F2 three times, ...
        filters: Channels of each stage, multiples of 16 and of twice `group_size`.
        group_size: Channels of a group of the 3x3 convolutions.
        alpha: Weight of a branch: each block adds its square to the variance of the signal.
        dropout: Rate before the head.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    if not repeats or len(repeats) != len(filters):
        raise ValueError(f"{repeats=} and {filters=} must have one number for each stage.")
    if group_size < 1 or any(width % 16 or width % (2 * group_size) for width in filters):
        raise ValueError(f"{filters=} must be multiples of 16 and of twice {group_size=}.")
    rates = iter(drop_rates(drop_path_rate, sum(repeats)))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = stem(x, filters[0] // 2)
    variance = 1.0
    for stage, (count, width) in enumerate(zip(repeats, filters, strict=True), start=1):
        for block in range(1, count + 1):
            x = nf_block(
                x,
                width,
                stride=2 if stage > 1 and block == 1 else 1,
                group_size=group_size,
                alpha=alpha,
                beta=1 / math.sqrt(variance),
                drop_rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
            # The shortcut of a first block starts from the scaled signal, of variance 1.
            variance = (1.0 if block == 1 else variance) + alpha**2
        x = layers.Identity(name=f"C{stage + 1}")(x)
    x = conv(x, 2 * filters[-1], 1, name="final_conv")
    x = activation(x, name="final_gelu")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
