"""The linear classifier: softmax regression on the pixels.

Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs, with
Relationships to Statistical Pattern Recognition", Neurocomputing 1990.

28x28x1 pixels, 10 classes: 784 * 10 + 10 = 7,850 parameters and 7,840 multiply-adds.
"""

import keras
from keras import layers

from vislearn.layers import classification_head, preprocess
from vislearn.registry import Paper, register

SOFTMAX = Paper(
    "Probabilistic Interpretation of Feedforward Classification Network Outputs, with "
    "Relationships to Statistical Pattern Recognition",
    "John S. Bridle",
    1990,
    "https://doi.org/10.1007/978-3-642-76153-9_28",
)


@register(
    "linear_classifier",
    paper=SOFTMAX,
    family="linear",
    input_shape=(28, 28, 1),
    num_classes=10,
    reference_params=7_850,
    reference="counted from the layer table",
    tiny={"input_shape": (8, 8, 1), "num_classes": 5},
)
def linear_classifier(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="linear_classifier",
) -> keras.Model:
    """One weight for each pixel and class; the weights of a class are its template.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            Without the head (`num_classes=0`) the pixels remain, as one vector.

    Raises:
        ValueError: If an argument is out of range.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.Flatten(name="flatten")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
