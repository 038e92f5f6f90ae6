"""VGG networks.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR
2015, arXiv:1409.1556: configurations A (11 weight layers), B (13), D (16) and E (19) of Table 1.
With batch norm (`_bn`) after Ioffe and Szegedy, arXiv:1502.03167, as torchvision has them.

What differs from the paper: all weights start at random (He's normal by fan-out for convolutions,
deviation 0.01 for dense layers), rather than the deep networks from the first layers of a trained
shallow one; and the last feature map is pooled to 7x7, so that any image of at least 32x32 will do.
Convolutions keep their bias also before batch norm, as torchvision's do. VGG-16: 138.4 million
parameters, of which the first dense layer holds 103 million; 15.5 G multiply-adds.
"""

import functools

import keras
from keras import layers

from vislearn.layers import BatchNormalization, classification_head, pool_to_grid, preprocess
from vislearn.registry import Paper, register

VGG = Paper(
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "Karen Simonyan, Andrew Zisserman",
    2014,
    "https://arxiv.org/abs/1409.1556",
)


def conv_block(x, filters, *, batch_norm=False, name):
    """A 3x3 convolution with ReLU; `name` ends in the number of the convolution."""
    stage, _, index = name.rpartition("_conv")
    x = layers.Conv2D(
        filters,
        3,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=name,
    )(x)
    if batch_norm:
        x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{stage}_bn{index}")(x)
    return layers.ReLU(name=f"{stage}_relu{index}")(x)


def torchvision(name, params, gmacs, repeats, **variant):
    """Registers a column of Table 1 of the paper, with torchvision's counts."""
    return register(
        name,
        paper=VGG,
        family="vgg",
        input_shape=(224, 224, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        tiny={
            "input_shape": (32, 32, 3),
            "num_classes": 5,
            "repeats": (1, 1, 1, 1, 2),
            "width": 8,
            "units": 32,
            "grid": 2,
            "dropout": 0.1,
        },
        repeats=repeats,
        **variant,
    )


normed = functools.partial(torchvision, batch_norm=True)


@torchvision("vgg11", 132_863_336, 7.6091, (1, 1, 2, 2, 2))
@torchvision("vgg13", 133_047_848, 11.3085, (2, 2, 2, 2, 2))
@torchvision("vgg16", 138_357_544, 15.4703, (2, 2, 3, 3, 3))
@torchvision("vgg19", 143_667_240, 19.6321, (2, 2, 4, 4, 4))
@normed("vgg11_bn", 132_874_344, 7.6091, (1, 1, 2, 2, 2))
@normed("vgg13_bn", 133_059_624, 11.3085, (2, 2, 2, 2, 2))
@normed("vgg16_bn", 138_374_440, 15.4703, (2, 2, 3, 3, 3))
@normed("vgg19_bn", 143_689_256, 19.6321, (2, 2, 4, 4, 4))
def vgg(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="vgg",
    repeats=(2, 2, 3, 3, 3),
    width=64,
    units=4096,
    batch_norm=False,
    grid=7,
    dropout=0.5,
) -> keras.Model:
    """Stages of 3x3 convolutions, each followed by 2x2 pooling, and two hidden dense layers.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Convolutions in each of the five stages.
        width: Filters of the first stage; each further stage doubles them, up to eight times.
        units: Outputs of each hidden dense layer.
        batch_norm: Normalise each convolution before its ReLU.
        grid: Side to which the last feature map is pooled.
        dropout: Rate at which hidden units are dropped in training.

    Returns:
        A model with the endpoints `C0` (stride 1) to `C4` (stride 16), before the pooling of their
        stage, and `C5` (stride 32) after the last. Its features (`num_classes=0`) are those of the
        last hidden layer.

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 32x32.
    """
    if len(repeats) != 5 or min(repeats) < 1:
        raise ValueError(f"repeats={repeats!r} must be five numbers of at least 1.")

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for stage, count in enumerate(repeats):
        for index in range(1, count + 1):
            x = conv_block(
                x,
                width * min(2**stage, 8),
                batch_norm=batch_norm,
                name=f"stage{stage + 1}_conv{index}",
            )
        x = layers.Identity(name=f"C{stage}")(x)
        x = layers.MaxPooling2D(2, name=f"stage{stage + 1}_pool")(x)
    x = layers.Identity(name="C5")(x)
    x = pool_to_grid(x, grid, name="grid")
    x = layers.Flatten(name="flatten")(x)
    for index in (1, 2):
        small = keras.initializers.RandomNormal(stddev=0.01)
        x = layers.Dense(units, "relu", kernel_initializer=small, name=f"dense{index}")(x)
        x = layers.Dropout(dropout, name=f"dropout{index}")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
