"""SqueezeNet.

Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
size", 2016, arXiv:1602.07360. `squeezenet1_0` is the network of Table 1; `squeezenet1_1` is what
its authors published later with 2.4 times less computation: a smaller first convolution, and
pooling earlier.

What differs from the paper: the first convolution is not padded, so that 224 pixels give 109 rather
than 111; torchvision and the authors' own files have it so. The shortcuts of section 6 are not
built. 1.25 million parameters, 0.82 G multiply-adds (1.0); 1.24 million, 0.35 G (1.1).
"""

import functools

import keras
from keras import layers

from vislearn.layers import ceil_max_pool, classification_head, preprocess
from vislearn.registry import Paper, register

SQUEEZENET = Paper(
    "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    "Forrest N. Iandola, Song Han, Matthew W. Moskewicz, Khalid Ashraf, William J. Dally, "
    "Kurt Keutzer",
    2016,
    "https://arxiv.org/abs/1602.07360",
)


def conv(x, filters, size, *, stride=1, padding="same", name):
    """A convolution with ReLU, with He's uniform initialisation."""
    x = layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding=padding,
        kernel_initializer="he_uniform",
        name=name,
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def fire(x, squeeze, expand, *, name):
    """Few 1x1 filters, then as many 1x1 as 3x3 filters side by side (Figure 1)."""
    x = conv(x, squeeze, 1, name=f"{name}_squeeze")
    branches = [conv(x, expand, size, name=f"{name}_expand{size}") for size in (1, 3)]
    return layers.Concatenate(name=f"{name}_out")(branches)


# Squeeze and expand filters of fire2 to fire9 (Table 1).
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))

torchvision = functools.partial(
    register,
    paper=SQUEEZENET,
    family="squeezenet",
    input_shape=(224, 224, 3),
    num_classes=1000,
    # Two modules, pooled between.
    tiny={
        "input_shape": (32, 32, 3),
        "num_classes": 5,
        "stem": (16, 3),
        "fires": ((8, 16), (8, 16)),
        "pooled_after": (1, 2),
    },
)


@torchvision(
    "squeezenet1_0",
    reference_params=1_248_424,
    reference_gmacs=0.8189,
    reference="torchvision 0.28.0 squeezenet1_0",
    stem=(96, 7),
    pooled_after=(1, 4, 8),
)
@torchvision(
    "squeezenet1_1",
    reference_params=1_235_496,
    reference_gmacs=0.3492,
    reference="torchvision 0.28.0 squeezenet1_1",
    stem=(64, 3),
    pooled_after=(1, 3, 5),
)
def squeezenet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="squeezenet",
    stem=(96, 7),
    fires=FIRES,
    pooled_after=(1, 4, 8),
    dropout=0.5,
) -> keras.Model:
    """Fire modules, and a convolution that gives a map for each class.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        stem: Filters and kernel size of the first convolution.
        fires: Squeeze and expand filters of each fire module; the first is `fire2`.
        pooled_after: The numbers of the layers that are pooled: 1 for the first convolution.
        dropout: Rate at which inputs of the last convolution are dropped in training.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C4` (stride 16): before each pooling, and the
        last. Without padding they are a little smaller than the image divided by the stride. Its
        logits are averages of values of at least 0.

    Raises:
        ValueError: If an argument is out of range, or the image is too small to be pooled: smaller
            than 21x21 for `squeezenet1_0`, 17x17 for `squeezenet1_1`.
    """
    last = len(fires) + 1
    if list(pooled_after) != sorted({*pooled_after} & {*range(1, last + 1)}):
        raise ValueError(f"pooled_after={pooled_after!r} must be rising numbers in 1..{last}.")

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    level = 1
    for number in range(1, last + 1):
        if number == 1:
            filters, size = stem
            x = conv(x, filters, size, stride=2, padding="valid", name="conv1")
        else:
            x = fire(x, *fires[number - 2], name=f"fire{number}")
        if number in pooled_after:
            x = layers.Identity(name=f"C{level}")(x)
            x = ceil_max_pool(x, name=f"pool{number}")
            level += 1
    x = layers.Identity(name=f"C{level}")(x)
    if num_classes == 0:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = classification_head(x, num_classes, classifier_activation)
        return keras.Model(inputs, x, name=name)
    x = layers.Dropout(dropout, name="dropout")(x)
    # A head for each pixel, so not `classification_head`; in float32 like any.
    small = keras.initializers.RandomNormal(stddev=0.01)
    x = layers.Conv2D(num_classes, 1, kernel_initializer=small, dtype="float32", name="head")(x)
    x = layers.ReLU(dtype="float32", name="head_relu")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    if classifier_activation is not None:
        x = layers.Activation(classifier_activation, dtype="float32", name="head_activation")(x)
    return keras.Model(inputs, x, name=name)
