"""Small convolutional networks: the course's first ones, and unshared convolution.

- `rvss_convnet`: strided convolutions in place of pooling, after LeCun et al., "Backpropagation
  Applied to Handwritten Zip Code Recognition", Neural Computation 1989; ReLU, 6 and 16 filters.
- `batchnorm_cnn`: Ioffe and Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167.
- `cifar_cnn`: two convolutional and two dense layers, to be trained with and without batch norm and
  dropout (Srivastava et al., "Dropout", JMLR 2014).
- `locally_connected_net`: LeCun, "Generalization and Network Design Strategies", 1989, in the
  layout of cuda-convnet's CIFAR-10 network (two convolutions, then two unshared ones), without its
  local response normalisation.

Parameters for 10 classes, at the published input:

    rvss_convnet   25 * 6 + 6 = 156,  25 * 6 * 16 + 16 = 2,416,  4 * 4 * 16 * 84 + 84 = 21,588,
                   84 * 10 + 10 = 850:  25,010
    batchnorm_cnn  9 * 32 + 32 = 320,  9 * 32 * 64 + 64 = 18,496,
                   12 * 12 * 64 * 128 + 128 = 1,179,776,  128 * 10 + 10 = 1,290,
                   batch norm after the first convolution and the first dense layer
                   4 * 32 + 4 * 128 = 640:  1,200,522
    cifar_cnn      25 * 3 * 32 + 32 = 2,432,  25 * 32 * 64 + 64 = 51,264,
                   8 * 8 * 64 * 256 + 256 = 1,048,832,  256 * 10 + 10 = 2,570:  1,105,098
                   (with batch norm 4 * (32 + 64 + 256) more)
    locally_connected_net
                   25 * 3 * 64 + 64 = 4,864,  25 * 64 * 64 + 64 = 102,464,
                   64 pixels * (9 * 64 * 64 + 64) = 2,363,392,
                   64 pixels * (9 * 64 * 32 + 32) = 1,181,696,
                   64 * 32 * 10 + 10 = 20,490:  3,672,906
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    BatchNormalization,
    LocallyConnected2D,
    classification_head,
    max_pool,
    preprocess,
)
from vislearn.registry import Paper, register

ZIP_CODES = Paper(
    "Backpropagation Applied to Handwritten Zip Code Recognition",
    "Yann LeCun, Bernhard Boser, John S. Denker, Donnie Henderson, Richard E. Howard, "
    "Wayne Hubbard, Lawrence D. Jackel",
    1989,
    "https://doi.org/10.1162/neco.1989.1.4.541",
)
BATCH_NORM = Paper(
    "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    "Sergey Ioffe, Christian Szegedy",
    2015,
    "https://arxiv.org/abs/1502.03167",
)
DROPOUT = Paper(
    "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    "Nitish Srivastava, Geoffrey Hinton, Alex Krizhevsky, Ilya Sutskever, Ruslan Salakhutdinov",
    2014,
    "https://jmlr.org/papers/v15/srivastava14a.html",
)
LOCAL = Paper(
    "Generalization and Network Design Strategies",
    "Yann LeCun",
    1989,
    "http://yann.lecun.com/exdb/publis/pdf/lecun-89.pdf",
)

counted = functools.partial(
    register, family="convnet", num_classes=10, reference="counted from the layer table"
)
he = functools.partial(layers.Conv2D, kernel_initializer="he_normal")


@counted(
    "rvss_convnet",
    paper=ZIP_CODES,
    input_shape=(28, 28, 1),
    reference_params=25_010,
    tiny={"input_shape": (16, 16, 1), "num_classes": 5, "units": 32},
)
def rvss_convnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="rvss_convnet",
    filters=(6, 16),
    units=84,
) -> keras.Model:
    """Two strided 5x5 convolutions and two dense layers, without pooling.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of each convolution.
        units: Outputs of the hidden dense layer.

    Returns:
        A model with the endpoints `C1` (stride 2) and `C2` (stride 4).

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 13x13.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for index, count in enumerate(filters, start=1):
        x = he(count, 5, strides=2, activation="relu", name=f"conv{index}")(x)
        x = layers.Identity(name=f"C{index}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, "relu", kernel_initializer="he_normal", name="dense1")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


@counted(
    "batchnorm_cnn",
    paper=BATCH_NORM,
    input_shape=(28, 28, 1),
    reference_params=1_200_522,
    tiny={"input_shape": (16, 16, 1), "num_classes": 5, "filters": (8, 8), "units": 32},
)
def batchnorm_cnn(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="batchnorm_cnn",
    filters=(32, 64),
    units=128,
    batch_norm=True,
) -> keras.Model:
    """Two 3x3 convolutions, a pool and two dense layers, two of them batch-normalised.

    Batch norm stands after the first convolution and the first dense layer, before their ReLU.
    (Keras's layers keep a bias before it, as the course's table does; it has no effect.)

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of the two convolutions.
        units: Outputs of the hidden dense layer.
        batch_norm: False leaves batch norm out, for comparison.

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 6x6.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = he(filters[0], 3, name="conv1")(x)
    if batch_norm:
        x = BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = he(filters[1], 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, kernel_initializer="he_normal", name="dense1")(x)
    if batch_norm:
        x = BatchNormalization(name="bn2")(x)
    x = layers.ReLU(name="relu2")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


@counted(
    "cifar_cnn",
    paper=DROPOUT,
    input_shape=(32, 32, 3),
    reference_params=1_105_098,
    tiny={"input_shape": (16, 16, 3), "num_classes": 5, "filters": (8, 16), "units": 32},
)
def cifar_cnn(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="cifar_cnn",
    filters=(32, 64),
    units=256,
    batch_norm=False,
    dropout=0.0,
) -> keras.Model:
    """Two 5x5 convolutions with pooling and two dense layers, the network of the ablation.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of each convolution.
        units: Outputs of the hidden dense layer.
        batch_norm: Normalise each convolution and the hidden dense layer before its ReLU.
        dropout: Rate at which hidden units are dropped in training, before the hidden layer and
            after it.

    Returns:
        A model with the endpoints `C0` (stride 1) and `C1` (stride 2), before the poolings.

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 4x4.
    """

    def activate(x, suffix):
        if batch_norm:
            x = BatchNormalization(name=f"bn_{suffix}")(x)
        return layers.ReLU(name=f"relu_{suffix}")(x)

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for index, count in enumerate(filters, start=1):
        x = he(count, 5, padding="same", name=f"conv{index}")(x)
        x = activate(x, f"conv{index}")
        x = layers.Identity(name=f"C{index - 1}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{index}")(x)
    x = layers.Flatten(name="flatten")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout1")(x)
    x = layers.Dense(units, kernel_initializer="he_normal", name="dense1")(x)
    x = activate(x, "dense1")
    if dropout:
        x = layers.Dropout(dropout, name="dropout2")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


@counted(
    "locally_connected_net",
    paper=LOCAL,
    input_shape=(32, 32, 3),
    reference_params=3_672_906,
    tiny={
        "input_shape": (16, 16, 3),
        "num_classes": 5,
        "filters": (8, 8),
        "local_filters": (8, 4),
    },
)
def locally_connected_net(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="locally_connected_net",
    filters=(64, 64),
    local_filters=(64, 32),
) -> keras.Model:
    """Two convolutions with pooling, then two locally connected layers.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of each 5x5 convolution.
        local_filters: Filters of each 3x3 locally connected layer.

    Returns:
        A model with the endpoints `C0` (stride 1) and `C1` (stride 2), before the poolings, and
        `C2` (stride 4), the last locally connected layer.

    Raises:
        ValueError: If an argument is out of range.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for index, count in enumerate(filters, start=1):
        x = he(count, 5, padding="same", activation="relu", name=f"conv{index}")(x)
        x = layers.Identity(name=f"C{index - 1}")(x)
        x = max_pool(x, name=f"pool{index}")
    for index, count in enumerate(local_filters, start=1):
        x = LocallyConnected2D(count, 3, padding="same", name=f"local{index}")(x)
        x = layers.ReLU(name=f"local{index}_relu")(x)
    x = layers.Identity(name=f"C{len(filters)}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
