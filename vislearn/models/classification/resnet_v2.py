"""Residual networks with pre-activation, "ResNet V2".

He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv:1603.05027: batch norm
and ReLU stand before the convolutions, so that nothing lies between one addition and the next
(Figure 4e).

What differs from the paper: this is keras.applications' network, to use its weights. A stage
strides in its last block, whose shortcut is then a 1x1 max pooling, and not in its first; the
strided convolution is the 3x3; the convolutions that end a block, the shortcut's and the stem's
carry a bias; the stem has neither batch norm nor ReLU, which the first block brings. Batch norm's
momentum is 0.9, as in the other residual networks (there it is 0.99).
ResNet-50 V2: 25.6 million parameters, 3.48 G multiply-adds.
"""

import keras
from keras import layers

from vislearn.layers import (
    BatchNormalization,
    StochasticDepth,
    classification_head,
    conv,
    drop_rates,
    preprocess,
)
from vislearn.registry import Paper, register

IDENTITY_MAPPINGS = Paper(
    "Identity Mappings in Deep Residual Networks",
    "Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
    2016,
    "https://arxiv.org/abs/1603.05027",
)


def activated(x, *, name):
    """Batch norm and ReLU, with the epsilon of keras.applications."""
    x = BatchNormalization(momentum=0.9, epsilon=1.001e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def preactivation_block(x, filters, *, first, stride=1, endpoint=None, drop_rate=0.0, name):
    """Norm and ReLU, then 1x1 down, 3x3, 1x1 up to four times the filters.

    Args:
        x: `(batch, height, width, channels)`.
        filters: A quarter of the output channels.
        first: Whether the shortcut is a 1x1 convolution of the activated input, as in the first
            block of a stage.
        stride: Step of the 3x3 convolution.
        endpoint: Name to give the activated input.
        drop_rate: Rate at which training drops the branch.
        name: Start of the layers' names.
    """
    shortcut = x
    x = activated(x, name=f"{name}_preact")
    if endpoint is not None:
        x = layers.Identity(name=endpoint)(x)
    if first:
        shortcut = conv(x, 4 * filters, 1, use_bias=True, name=f"{name}_shortcut_conv")
    if stride > 1:
        shortcut = layers.MaxPooling2D(1, stride, name=f"{name}_shortcut_pool")(shortcut)
    x = activated(conv(x, filters, 1, name=f"{name}_conv1"), name=f"{name}_1")
    x = activated(conv(x, filters, 3, stride=stride, name=f"{name}_conv2"), name=f"{name}_2")
    x = conv(x, 4 * filters, 1, use_bias=True, name=f"{name}_conv3")
    if drop_rate > 0:
        x = StochasticDepth(drop_rate, name=f"{name}_drop")(x)
    return layers.Add(name=f"{name}_out")([shortcut, x])


def keras_applications(name, model, params, gmacs, repeats):
    """Registers a variant with the counts of keras.applications."""
    return register(
        name,
        paper=IDENTITY_MAPPINGS,
        family="resnet",
        input_shape=(224, 224, 3),
        num_classes=1000,
        tiny={"input_shape": (32, 32, 3), "num_classes": 5, "width": 8, "repeats": (2, 2)},
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"keras.applications keras 3.15.1 / tensorflow 2.21.0 {model}",
        repeats=repeats,
    )


@keras_applications("resnet50_v2", "ResNet50V2", 25_613_800, 3.4823, (3, 4, 6, 3))
@keras_applications("resnet101_v2", "ResNet101V2", 44_675_560, 7.1945, (3, 4, 23, 3))
@keras_applications("resnet152_v2", "ResNet152V2", 60_380_648, 10.9067, (3, 8, 36, 3))
def resnet_v2(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="resnet_v2",
    repeats=(3, 4, 6, 3),
    width=64,
    drop_path_rate=0.0,
) -> keras.Model:
    """A residual network with pre-activation for ImageNet-sized images.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Blocks in each stage, at least 2: all but the last stage stride in their last.
        width: Filters of the first stage; each further stage doubles them.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C2` (stride 4) to `C5` (stride 32), each normalised and after
        ReLU: what the strided block that follows reads, or the head.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not repeats or min(repeats) < 2:
        raise ValueError(f"repeats={repeats!r} must be at least 2 in each stage.")
    rates = iter(drop_rates(drop_path_rate, sum(repeats)))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = conv(x, width, 7, stride=2, use_bias=True, name="stem_conv")
    # Windows at the border see zeros, though there was no ReLU. Cropped, since ONNX Runtime takes a
    # padding right before a pooling into it, where it is one of -inf.
    x = layers.ZeroPadding2D(2, name="stem_pool_pad")(x)
    x = layers.Cropping2D(1, name="stem_pool_crop")(x)
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    for stage, count in enumerate(repeats):
        for index in range(count):
            strided = index == count - 1 and stage < len(repeats) - 1
            x = preactivation_block(
                x,
                width * 2**stage,
                first=index == 0,
                stride=2 if strided else 1,
                endpoint=f"C{stage + 2}" if strided else None,
                drop_rate=next(rates),
                name=f"stage{stage + 1}_block{index + 1}",
            )
    x = activated(x, name="post")
    x = layers.Identity(name=f"C{len(repeats) + 1}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
