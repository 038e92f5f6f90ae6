"""LeNet-5, as published and as it is taught.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 1998.

`lenet5_1998` is the network of section II.B with what most modern versions change: sub-sampling
averages without a trained coefficient and bias, each map of C3 sees all six of S2 (Table I of the
paper leaves out some), tanh is not scaled to 1.7159 tanh(2x / 3), the input is 0..1 instead of
-0.1..1.175, and the output is linear (the paper's are radial basis units with fixed codes).

`lenet5` is the larger table that courses teach as LeNet: ReLU, maximum pooling, padded images and
20 / 50 / 500 filters and units.

Parameters for 10 classes:

    lenet5_1998, 32x32x1   C1 25 * 6 + 6 = 156,  C3 25 * 6 * 16 + 16 = 2,416,
                           C5 5 * 5 * 16 * 120 + 120 = 48,120,  F6 120 * 84 + 84 = 10,164,
                           output 84 * 10 + 10 = 850:  61,706
    lenet5, 28x28x1        25 * 20 + 20 = 520,  25 * 20 * 50 + 50 = 25,050,
                           7 * 7 * 50 * 500 + 500 = 1,225,500,  500 * 10 + 10 = 5,010:  1,256,080
"""

import keras
from keras import layers

from vislearn.layers import classification_head, preprocess
from vislearn.registry import Paper, register

LENET = Paper(
    "Gradient-Based Learning Applied to Document Recognition",
    "Yann LeCun, Léon Bottou, Yoshua Bengio, Patrick Haffner",
    1998,
    "https://doi.org/10.1109/5.726791",
)


@register(
    "lenet5",
    paper=LENET,
    family="lenet",
    input_shape=(28, 28, 1),
    num_classes=10,
    reference_params=1_256_080,
    reference="counted from the layer table",
    tiny={"input_shape": (16, 16, 1), "num_classes": 5, "filters": (4, 8), "units": 32},
)
def lenet5(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="lenet5",
    filters=(20, 50),
    units=500,
) -> keras.Model:
    """The LeNet of courses: two 5x5 convolutions with ReLU and maximum pooling, two dense layers.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of each convolution.
        units: Outputs of the hidden dense layer.

    Returns:
        A model with the endpoints `C0` (stride 1) and `C1` (stride 2), before the poolings.

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 4x4.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for index, count in enumerate(filters, start=1):
        x = layers.Conv2D(count, 5, padding="same", activation="relu", name=f"conv{index}")(x)
        x = layers.Identity(name=f"C{index - 1}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{index}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, "relu", name="dense1")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


@register(
    "lenet5_1998",
    paper=LENET,
    family="lenet",
    input_shape=(32, 32, 1),
    num_classes=10,
    reference_params=61_706,
    reference="counted from the layer table",
    tiny={"input_shape": (16, 16, 1), "num_classes": 5, "units": (32, 16)},
)
def lenet5_1998(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="lenet5_1998",
    filters=(6, 16),
    units=(120, 84),
) -> keras.Model:
    """The LeNet-5 of the paper (Figure 2); the layers carry the paper's names.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of C1 and C3.
        units: Outputs of C5 and F6. C5 is a convolution over the whole of S4 in the paper; a dense
            layer is the same and takes images of other sizes too.

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 16x16.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.Conv2D(filters[0], 5, activation="tanh", name="c1")(x)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(filters[1], 5, activation="tanh", name="c3")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units[0], "tanh", name="c5")(x)
    x = layers.Dense(units[1], "tanh", name="f6")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
