"""Deep-PHURIE: the wind speed of a hurricane from an infrared picture.

Dawood, Asif and Minhas, "Deep-PHURIE: deep learning based hurricane intensity estimation from
infrared satellite imagery", Neural Computing and Applications 2020, doi:10.1007/s00521-019-04410-7.

From the paper's abstract and the program that its authors published: the input is one channel, the
infrared window of HURSAT, 301x301 pixels resized to 224x224 grey levels 0..255; a convolutional
network answers with one number, the intensity in knots; its root mean squared error is 8.82 knots.

Not from the paper, whose table of layers was not at hand, but chosen here: everything between input
and answer. Five stages of a 3x3 convolution with ReLU and 2x2 pooling, one hidden dense layer with
dropout, pixels scaled to 0..1, He's initialisation; and the network answers in units of the
training targets' deviation, which the task turns into knots. So no figure of the paper can be
claimed for it. Parameters:

    conv1  9 * 1 * 32 + 32 = 320,            conv2  9 * 32 * 64 + 64 = 18,496,
    conv3  9 * 64 * 128 + 128 = 73,856,      conv4  9 * 128 * 128 + 128 = 147,584,
    conv5  9 * 128 * 256 + 256 = 295,168,    dense1 7 * 7 * 256 * 512 + 512 = 6,423,040,
    head   512 + 1 = 513:                    6,958,977
"""

import keras
from keras import layers

from vislearn.layers import classification_head, preprocess
from vislearn.registry import Paper, register

DEEP_PHURIE = Paper(
    "Deep-PHURIE: deep learning based hurricane intensity estimation from infrared satellite "
    "imagery",
    "Muhammad Dawood, Amina Asif, Fayyaz ul Amir Afsar Minhas",
    2020,
    "https://doi.org/10.1007/s00521-019-04410-7",
)


@register(
    "deep_phurie",
    paper=DEEP_PHURIE,
    family="phurie",
    task="regression",
    input_shape=(224, 224, 1),
    num_classes=1,
    tiny={
        "input_shape": (32, 32, 1),
        "num_classes": 1,
        "filters": (8, 16),
        "units": 16,
        "dropout": 0.1,
    },
)
def deep_phurie(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="deep_phurie",
    filters=(32, 64, 128, 128, 256),
    units=512,
    dropout=0.5,
) -> keras.Model:
    """Convolutions with pooling, a hidden dense layer and a linear answer.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`;
            the number of classes is that of the quantities.
        filters: Filters of each stage.
        units: Outputs of the hidden dense layer.
        dropout: Rate at which its units are dropped in training.

    Returns:
        A model from `(batch, height, width, channels)` to `(batch, quantities)`, with the endpoints
        `C0` (stride 1) and so on, before the pooling of each stage.

    Raises:
        ValueError: If an argument is out of range, or the image is too small to be pooled.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for stage, count in enumerate(filters):
        x = layers.Conv2D(
            count,
            3,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{stage + 1}",
        )(x)
        x = layers.Identity(name=f"C{stage}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{stage + 1}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, "relu", kernel_initializer="he_normal", name="dense1")(x)
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
