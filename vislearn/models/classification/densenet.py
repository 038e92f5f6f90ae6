"""Densely connected networks: each layer reads the feature maps of all layers before it.

Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, arXiv:1608.06993.

What differs from the paper: nothing in the network (DenseNet-BC, Table 1); kernels start from He's
normal distribution, as in torchvision. DenseNet-121: 8.06 million parameters, 2.83 G multiply-adds.
"""

import functools

import keras
from keras import layers

from vislearn.layers import classification_head, conv, preprocess
from vislearn.layers.residual import batch_norm, stem
from vislearn.registry import Paper, register

DENSENET = Paper(
    "Densely Connected Convolutional Networks",
    "Gao Huang, Zhuang Liu, Laurens van der Maaten, Kilian Q. Weinberger",
    2017,
    "https://arxiv.org/abs/1608.06993",
)


def unit(x, filters, size, *, number="", name):
    """The paper's H: batch norm, ReLU, convolution, in this order."""
    x = batch_norm(x, name=f"{name}_bn{number}")
    x = layers.ReLU(name=f"{name}_relu{number}")(x)
    return conv(x, filters, size, name=f"{name}_conv{number}")


def dense_layer(x, growth_rate, *, bottleneck=True, dropout=0.0, name):
    """Adds `growth_rate` new feature maps to those that there are (equation 2)."""
    y = x
    if bottleneck:
        y = unit(y, 4 * growth_rate, 1, number=1, name=name)
    y = unit(y, growth_rate, 3, number=2, name=name)
    if dropout > 0:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(x, filters, *, name):
    """To fewer feature maps of half the size."""
    x = conv(x, filters, 1, name=f"{name}_conv")
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def torchvision(name, params, gmacs, repeats, growth_rate=32):
    """Registers a variant that torchvision has: Table 1 of the paper, and its counts."""
    return register(
        name,
        paper=DENSENET,
        family="densenet",
        input_shape=(224, 224, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        tiny={
            "input_shape": (32, 32, 3),
            "num_classes": 5,
            "repeats": (1, 2),
            "growth_rate": 8,
        },
        repeats=repeats,
        growth_rate=growth_rate,
    )


@torchvision("densenet121", 8_062_504, 2.8342, (6, 12, 24, 16))
@torchvision("densenet161", 28_900_936, 7.7279, (6, 12, 36, 24), growth_rate=48)
@torchvision("densenet169", 14_307_880, 3.3598, (6, 12, 32, 32))
@torchvision("densenet201", 20_242_984, 4.2914, (6, 12, 48, 32))
def densenet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="densenet",
    repeats=(6, 12, 24, 16),
    growth_rate=32,
    bottleneck=True,
    compression=0.5,
    dropout=0.0,
) -> keras.Model:
    """A densely connected network for ImageNet-sized images (Table 1 of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Layers in each dense block.
        growth_rate: Feature maps that each layer adds, k in the paper; the stem makes 2k.
        bottleneck: Whether a 1x1 convolution to 4k stands before each of 3x3 (DenseNet-B).
        compression: The share of the feature maps that a transition keeps, theta in the paper; 1
            for all of them (0.5 is DenseNet-C).
        dropout: Rate after each layer of a dense block; the paper's is 0.2 without augmentation.

    Returns:
        A model with the endpoints `C2` (stride 4) to `C5` (stride 32): all feature maps of a dense
        block after batch norm and ReLU, as the transition reads them.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not repeats or not all(isinstance(count, int) and count > 0 for count in repeats):
        raise ValueError(f"repeats={repeats!r} must be positive integers, one a dense block.")
    if not isinstance(growth_rate, int) or growth_rate < 1:
        raise ValueError(f"growth_rate={growth_rate!r} must be a positive integer.")
    if not 0 < compression <= 1:
        raise ValueError(f"compression={compression!r} must be above 0 and at most 1.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r} must be at least 0 and less than 1.")
    layer = functools.partial(
        dense_layer, growth_rate=growth_rate, bottleneck=bottleneck, dropout=dropout
    )

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = stem(x, 2 * growth_rate)
    for stage, count in enumerate(repeats, start=1):
        if stage > 1:
            filters = max(1, int(x.shape[-1] * compression))
            x = transition(x, filters, name=f"stage{stage}_transition")
        for index in range(1, count + 1):
            x = layer(x, name=f"stage{stage}_layer{index}")
        x = batch_norm(x, name=f"stage{stage}_bn")
        x = layers.ReLU(name=f"stage{stage}_relu")(x)
        x = layers.Identity(name=f"C{stage + 1}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
