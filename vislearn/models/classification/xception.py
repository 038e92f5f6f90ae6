"""Xception: depthwise separable convolutions with residual connections.

Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017,
arXiv:1610.02357.

What differs from the paper: dropout of 0.5 before the head, with which the author trained on
ImageNet, is left to `dropout`, as in keras.applications; batch norm moves at torch's rate of 0.1.
22.9 million parameters, 8.36 G multiply-adds.
"""

import keras
from keras import layers

from vislearn.layers import BatchNormalization, classification_head, preprocess
from vislearn.registry import Paper, register

XCEPTION = Paper(
    "Xception: Deep Learning with Depthwise Separable Convolutions",
    "François Chollet",
    2017,
    "https://arxiv.org/abs/1610.02357",
)


def batch_norm(x, *, name):
    """Batch normalisation with the epsilon of the published weights."""
    return BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)(x)


def convolution(x, filters, size, *, stride=1, padding="same", name, part):
    """`{name}_conv{part}` and batch norm, with TensorFlow's padding."""
    x = layers.Conv2D(
        filters, size, strides=stride, padding=padding, use_bias=False, name=f"{name}_conv{part}"
    )(x)
    return batch_norm(x, name=f"{name}_bn{part}")


def separable(x, filters, *, name, part):
    """A 3x3 convolution channel by channel, a 1x1 convolution and batch norm, without ReLU between.

    A ReLU between the two is worse (section 4.7).
    """
    x = layers.SeparableConv2D(
        filters, 3, padding="same", use_bias=False, name=f"{name}_conv{part}"
    )(x)
    return batch_norm(x, name=f"{name}_bn{part}")


def reducing_block(x, filters, *, relu_first=True, name):
    """Two separable convolutions of `filters` each and a pooling, beside a 1x1 convolution."""
    shortcut = convolution(x, filters[-1], 1, stride=2, name=f"{name}_shortcut", part="")
    for part, count in enumerate(filters, start=1):
        if relu_first or part > 1:
            x = layers.ReLU(name=f"{name}_relu{part}")(x)
        x = separable(x, count, name=name, part=part)
    x = layers.MaxPooling2D(3, 2, padding="same", name=f"{name}_pool")(x)
    return layers.Add(name=f"{name}_add")([x, shortcut])


def middle_block(x, *, name):
    """Three separable convolutions beside the identity."""
    shortcut = x
    for part in (1, 2, 3):
        x = layers.ReLU(name=f"{name}_relu{part}")(x)
        x = separable(x, shortcut.shape[-1], name=name, part=part)
    return layers.Add(name=f"{name}_add")([x, shortcut])


@register(
    "xception",
    paper=XCEPTION,
    family="xception",
    input_shape=(299, 299, 3),
    num_classes=1000,
    reference_params=22_910_480,
    reference_gmacs=8.3574,
    reference="keras.applications keras 3.15.1 / tensorflow 2.21.0 Xception",
    tiny={"input_shape": (32, 32, 3), "num_classes": 5, "repeats": 1, "width": 0.125},
)
def xception(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="xception",
    repeats=8,
    width=1.0,
    dropout=0.0,
) -> keras.Model:
    """Xception (Figure 5 of the paper): entry, middle and exit flow.

    The first two convolutions are not padded: of 299 pixels the maps are 147, 74, 37, 19 and 10.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Blocks of the middle flow.
        width: Factor on all filters.
        dropout: Rate before the head; 0.5 in the paper's training on ImageNet.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    if not isinstance(repeats, int) or repeats < 0:
        raise ValueError(f"repeats={repeats!r} must be an integer of at least 0.")
    if not width > 0:
        raise ValueError(f"width={width!r} must be positive.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r} must be at least 0 and less than 1.")

    def scaled(*filters):
        return [max(1, round(count * width)) for count in filters]

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for part, (filters, stride) in enumerate(zip(scaled(32, 64), (2, 1), strict=True), start=1):
        x = convolution(x, filters, 3, stride=stride, padding="valid", name="stem", part=part)
        x = layers.ReLU(name=f"stem_relu{part}")(x)
    x = layers.Identity(name="C1")(x)
    x = reducing_block(x, scaled(128, 128), relu_first=False, name="entry_block1")
    x = layers.Identity(name="C2")(x)
    x = reducing_block(x, scaled(256, 256), name="entry_block2")
    x = layers.Identity(name="C3")(x)
    x = reducing_block(x, scaled(728, 728), name="entry_block3")
    for index in range(1, repeats + 1):
        x = middle_block(x, name=f"middle_block{index}")
    x = layers.Identity(name="C4")(x)
    x = reducing_block(x, scaled(728, 1024), name="exit_block1")
    for part, filters in enumerate(scaled(1536, 2048), start=1):
        x = separable(x, filters, name="exit_block2", part=part)
        x = layers.ReLU(name=f"exit_block2_relu{part}")(x)
    x = layers.Identity(name="C5")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
