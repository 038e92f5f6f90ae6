"""EfficientNets: one small network, and the same made wider, deeper and for larger images at once.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
arXiv:1905.11946.

The networks pad and normalise as torchvision's, which are the same in B5 to B7 as the paper's code
and keras.applications but for the padding; `padding="tensorflow"` and `epsilon=1e-3` make them
theirs. A block is dropped in training at a rate that rises linearly from 0 for the first. B0: 5.33
million parameters, 0.386 G multiply-adds; B7: 66.7 million, 37.7 G.
"""

import functools
import math

import keras
from keras import layers

from vislearn.layers import (
    BatchNormalization,
    classification_head,
    conv_block,
    drop_rates,
    inverted_residual,
    preprocess,
    round_filters,
    squeeze_excitation,
)
from vislearn.registry import Paper, register

EFFICIENTNET = Paper(
    "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    "Mingxing Tan, Quoc V. Le",
    2019,
    "https://arxiv.org/abs/1905.11946",
)

# (expansion, kernel, filters, repeats, stride) of the seven stages of B0: Table 1 of the paper.
STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)


def mbconv_block(x, filters, *, expansion, name, **options):
    """An inverted residual whose squeeze is a quarter of its input's channels."""
    channels = x.shape[-1]
    squeeze = functools.partial(
        squeeze_excitation, squeezed=max(1, channels // 4), activation="silu"
    )
    expanded = expansion * channels
    return inverted_residual(
        x, filters, expanded=expanded, activation="silu", squeeze=squeeze, name=name, **options
    )


TINY = {
    "input_shape": (32, 32, 3),
    "num_classes": 5,
    "stages": ((1, 3, 16, 1, 1), (4, 5, 24, 2, 2)),
    "width": 0.5,
    "depth": 1.0,
    "dropout": 0.1,
    "epsilon": 1e-5,
    "momentum": 0.9,
}


def torchvision(name, params, gmacs, side, width, depth, dropout, **variant):
    """Registers a variant that torchvision has, its sizes and its counts."""
    return register(
        name,
        paper=EFFICIENTNET,
        family="efficientnet",
        input_shape=(side, side, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        tiny=TINY,
        width=width,
        depth=depth,
        dropout=dropout,
        **variant,
    )


LARGE = {"epsilon": 1e-3, "momentum": 0.99}


@torchvision("efficientnet_b0", 5_330_564, 0.3858, 224, 1.0, 1.0, 0.2)
@torchvision("efficientnet_b1", 7_856_232, 0.6868, 240, 1.0, 1.1, 0.2)
@torchvision("efficientnet_b2", 9_177_562, 0.9936, 260, 1.1, 1.2, 0.3)
@torchvision("efficientnet_b3", 12_320_528, 1.8271, 300, 1.2, 1.4, 0.3)
@torchvision("efficientnet_b4", 19_466_816, 4.3938, 380, 1.4, 1.8, 0.4)
@torchvision("efficientnet_b5", 30_562_520, 10.2664, 456, 1.6, 2.2, 0.4, **LARGE)
@torchvision("efficientnet_b6", 43_265_136, 19.0676, 528, 1.8, 2.6, 0.5, **LARGE)
@torchvision("efficientnet_b7", 66_658_680, 37.7459, 600, 2.0, 3.1, 0.5, **LARGE)
def efficientnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="efficientnet",
    stages=STAGES,
    width=1.0,
    depth=1.0,
    dropout=0.2,
    drop_path_rate=0.2,
    padding="symmetric",
    epsilon=1e-5,
    momentum=0.9,
) -> keras.Model:
    """Inverted residuals with squeeze and excitation, scaled (Table 1 and equation 3 of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        stages: `(expansion, kernel, filters, repeats, stride)` of each stage of B0.
        width: Factor on the filters, which are then rounded to multiples of 8.
        depth: Factor on the repeats, which are then rounded up.
        dropout: Rate before the head.
        drop_path_rate: Stochastic depth: the rate that a block after the last would be dropped at.
        padding: `"symmetric"` or `"tensorflow"`; see `vislearn.layers.conv`.
        epsilon: Of batch norm.
        momentum: Of batch norm.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32, the last convolution).

    Raises:
        ValueError: If an argument is out of range.
    """
    for argument, value in (("width", width), ("depth", depth)):
        if not value > 0:
            raise ValueError(f"{argument}={value!r} must be positive.")

    def norm(x, *, name):
        return BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)

    counts = [math.ceil(repeats * depth) for _, _, _, repeats, _ in stages]
    rates = iter([0.0, *drop_rates(drop_path_rate, sum(counts))])
    options = {"norm": norm, "padding": padding}
    ends = {"activation": "silu", **options}

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = conv_block(
        x, round_filters(32 * width), 3, stride=2, activation="silu", **options, name="stem"
    )
    level = 1
    for stage, (row, count) in enumerate(zip(stages, counts, strict=True), start=1):
        expansion, size, filters, _, stride = row
        if stride > 1:
            x = layers.Identity(name=f"C{level}")(x)
            level += 1
        for index in range(count):
            x = mbconv_block(
                x,
                round_filters(filters * width),
                expansion=expansion,
                size=size,
                stride=stride if index == 0 else 1,
                drop_rate=next(rates),
                **options,
                name=f"stage{stage}_block{index + 1}",
            )
    x = conv_block(x, 4 * x.shape[-1], 1, **ends, name="top")
    x = layers.Identity(name=f"C{level}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout and num_classes:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
