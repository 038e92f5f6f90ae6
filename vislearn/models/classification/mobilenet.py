"""MobileNets: small networks of depthwise and 1x1 convolutions.

V1: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", arXiv:1704.04861. V2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", CVPR 2018, arXiv:1801.04381. V3: Howard et al., "Searching for MobileNetV3", ICCV
2019, arXiv:1905.02244.

V1 and V2 pad and normalise as keras.applications, V3 as torchvision; `padding` and `epsilon` make
each the other. What differs from them: kernels start from He's normal distribution, and in V2 the
statistics of batch norm move by 1% a step, not by 0.1%, which short trainings don't live to see.
V1 4.25 million parameters, 0.569 G multiply-adds; V2 3.54 and 0.301; V3 small 2.55 and 0.057, V3
large 5.51 and 0.217.
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    BatchNormalization,
    classification_head,
    conv_block,
    depthwise_conv,
    inverted_residual,
    preprocess,
    round_filters,
    squeeze_excitation,
)
from vislearn.registry import Paper, register

V1 = Paper(
    "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    "Andrew G. Howard, Menglong Zhu, Bo Chen, Dmitry Kalenichenko, Weijun Wang, Tobias Weyand, "
    "Marco Andreetto, Hartwig Adam",
    2017,
    "https://arxiv.org/abs/1704.04861",
)
V2 = Paper(
    "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    "Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov, Liang-Chieh Chen",
    2018,
    "https://arxiv.org/abs/1801.04381",
)
V3 = Paper(
    "Searching for MobileNetV3",
    "Andrew Howard, Mark Sandler, Grace Chu, Liang-Chieh Chen, Bo Chen, Mingxing Tan, Weijun Wang, "
    "Yukun Zhu, Ruoming Pang, Vijay Vasudevan, Quoc V. Le, Hartwig Adam",
    2019,
    "https://arxiv.org/abs/1905.02244",
)

# (filters, stride) of each block: Table 1 of V1.
V1_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
# (expansion t, filters c, repeats n, stride s): Table 2 of V2.
V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
# (kernel, expanded, filters, squeeze and excitation, activation, stride): Tables 1 and 2 of V3.
V3_LARGE = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
V3_SMALL = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard_swish", 2),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 120, 48, True, "hard_swish", 1),
    (5, 144, 48, True, "hard_swish", 1),
    (5, 288, 96, True, "hard_swish", 2),
    (5, 576, 96, True, "hard_swish", 1),
    (5, 576, 96, True, "hard_swish", 1),
)
V3_TINY = ((3, 16, 16, True, "relu", 2), (5, 32, 16, False, "hard_swish", 1))


def batch_norm(x, *, momentum, epsilon, name):
    """Batch normalisation."""
    return BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)


def separable_block(x, filters, *, stride, norm, padding, name):
    """A depthwise convolution and a 1x1 one, each with batch norm and ReLU6 (V1, Figure 3)."""
    x = depthwise_conv(x, 3, stride=stride, padding=padding, name=f"{name}_depthwise_conv")
    x = norm(x, name=f"{name}_depthwise_bn")
    x = layers.Activation("relu6", name=f"{name}_depthwise_act")(x)
    return conv_block(x, filters, 1, activation="relu6", norm=norm, name=f"{name}_pointwise")


def close_level(x, stride, level):
    """Names the last feature map before a block that strides, `C1` and so on; the next level."""
    if stride not in (1, 2):
        raise ValueError(f"stride={stride!r} of a block must be 1 or 2.")
    if stride == 1:
        return x, level
    return layers.Identity(name=f"C{level}")(x), level + 1


def close(x, level, num_classes, classifier_activation, dropout, hidden=None):
    """The last level, the pooling, and the head, behind a dense layer where there is one."""
    x = layers.Identity(name=f"C{level}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if hidden is not None:
        x = layers.Dense(hidden, name="top_dense")(x)
        x = layers.Activation("hard_swish", name="top_dense_act")(x)
    if dropout and num_classes:
        x = layers.Dropout(dropout, name="dropout")(x)
    return classification_head(x, num_classes, classifier_activation)


def check(alpha):
    """The width multiplier is positive."""
    if not alpha > 0:
        raise ValueError(f"alpha={alpha!r} must be positive.")


imagenet = functools.partial(
    register, family="mobilenet", input_shape=(224, 224, 3), num_classes=1000
)
KERAS = "keras.applications keras 3.15.1 / tensorflow 2.21.0"
TINY = {"input_shape": (32, 32, 3), "num_classes": 5, "momentum": 0.9}


@imagenet(
    "mobilenet_v1",
    paper=V1,
    reference_params=4_253_864,
    reference_gmacs=0.5687,
    reference=f"{KERAS} MobileNet",
    tiny={**TINY, "blocks": ((64, 1), (128, 2)), "alpha": 0.5},
)
def mobilenet_v1(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="mobilenet_v1",
    blocks=V1_BLOCKS,
    alpha=1.0,
    dropout=0.001,
    padding="tensorflow",
    epsilon=1e-3,
    momentum=0.99,
) -> keras.Model:
    """A plain chain of depthwise separable convolutions (Table 1 of the first paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        blocks: `(filters, stride)` of each block.
        alpha: Width multiplier: the factor on all filters.
        dropout: Rate before the head.
        padding: `"tensorflow"` or `"symmetric"`; see `vislearn.layers.conv`.
        epsilon: Of batch norm.
        momentum: Of batch norm.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(alpha)
    norm = functools.partial(batch_norm, momentum=momentum, epsilon=epsilon)

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    options = {"norm": norm, "padding": padding}
    x = conv_block(
        x, max(1, int(32 * alpha)), 3, stride=2, activation="relu6", **options, name="stem"
    )
    level = 1
    for number, (filters, stride) in enumerate(blocks, start=1):
        x, level = close_level(x, stride, level)
        filters = max(1, int(filters * alpha))
        x = separable_block(x, filters, stride=stride, **options, name=f"block{number}")
    x = close(x, level, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, x, name=name)


@imagenet(
    "mobilenet_v2",
    paper=V2,
    reference_params=3_538_984,
    reference_gmacs=0.3008,
    reference=f"{KERAS} MobileNetV2",
    tiny={**TINY, "stages": ((1, 16, 1, 1), (4, 24, 2, 2)), "alpha": 0.5},
)
def mobilenet_v2(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="mobilenet_v2",
    stages=V2_STAGES,
    alpha=1.0,
    dropout=0.2,
    padding="tensorflow",
    epsilon=1e-3,
    momentum=0.99,
) -> keras.Model:
    """Inverted residuals with linear bottlenecks (Table 2 of the second paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        stages: `(expansion, filters, repeats, stride)` of each stage.
        alpha: Width multiplier: the factor on all filters, which are then rounded to multiples of
            8; on the last convolution's only where it is above 1.
        dropout: Rate before the head.
        padding: `"tensorflow"` or `"symmetric"`; see `vislearn.layers.conv`.
        epsilon: Of batch norm.
        momentum: Of batch norm.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32, the last convolution).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(alpha)
    norm = functools.partial(batch_norm, momentum=momentum, epsilon=epsilon)
    options = {"activation": "relu6", "norm": norm, "padding": padding}

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = conv_block(x, round_filters(32 * alpha), 3, stride=2, **options, name="stem")
    level, number = 1, 0
    for expansion, filters, repeats, first_stride in stages:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            x, level = close_level(x, stride, level)
            number += 1
            x = inverted_residual(
                x,
                round_filters(filters * alpha),
                expanded=expansion * x.shape[-1],
                stride=stride,
                **options,
                name=f"block{number}",
            )
    x = conv_block(x, round_filters(1280 * max(1.0, alpha)), 1, **options, name="top")
    x = close(x, level, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, x, name=name)


def torchvision_v3(name, params, gmacs, blocks, hidden):
    """Registers a variant of V3 that torchvision has, and its counts."""
    return imagenet(
        name,
        paper=V3,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        tiny={**TINY, "blocks": V3_TINY, "hidden": 64},
        blocks=blocks,
        hidden=hidden,
    )


@torchvision_v3("mobilenet_v3_large", 5_507_432, 0.2166, V3_LARGE, 1280)
@torchvision_v3("mobilenet_v3_small", 2_554_968, 0.0565, V3_SMALL, 1024)
def mobilenet_v3(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="mobilenet_v3",
    blocks=V3_LARGE,
    hidden=1280,
    alpha=1.0,
    dropout=0.2,
    padding="symmetric",
    epsilon=1e-3,
    momentum=0.99,
) -> keras.Model:
    """Inverted residuals with squeeze and excitation and hard swish (the third paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            Without the head the features are those of the dense layer before it.
        blocks: `(kernel, expanded, filters, squeeze and excitation, activation, stride)` of each
            block.
        hidden: Units of the dense layer between pooling and head.
        alpha: Width multiplier: the factor on all filters, which are then rounded to multiples of
            8.
        dropout: Rate before the head.
        padding: `"symmetric"` or `"tensorflow"`; see `vislearn.layers.conv`.
        epsilon: Of batch norm.
        momentum: Of batch norm.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32, the last convolution).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(alpha)
    norm = functools.partial(batch_norm, momentum=momentum, epsilon=epsilon)
    options = {"norm": norm, "padding": padding}

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = conv_block(
        x, round_filters(16 * alpha), 3, stride=2, activation="hard_swish", **options, name="stem"
    )
    level = 1
    for number, (size, expanded, filters, squeezes, activation, stride) in enumerate(blocks, 1):
        x, level = close_level(x, stride, level)
        expanded = round_filters(expanded * alpha)
        squeeze = functools.partial(
            squeeze_excitation, squeezed=round_filters(expanded // 4), gate="hard_sigmoid"
        )
        x = inverted_residual(
            x,
            round_filters(filters * alpha),
            expanded=expanded,
            size=size,
            stride=stride,
            activation=activation,
            squeeze=squeeze if squeezes else None,
            **options,
            name=f"block{number}",
        )
    x = conv_block(x, 6 * x.shape[-1], 1, activation="hard_swish", **options, name="top")
    hidden = round_filters(hidden * alpha)
    x = close(x, level, num_classes, classifier_activation, dropout, hidden)
    return keras.Model(inputs, x, name=name)
