"""What a linear classifier knows: one template a class.

The registered `linear_classifier`, softmax regression on pixels, trained with Adam. The weights of
a class are a picture: what of the image speaks for it. That they are templates is measured: the
mean image of each class answers most to the weights of its own class.
"""

import keras
import numpy as np

import vislearn
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import image_row


@experiment(
    claim="A linear classifier learns one template a class, which can be looked at.",
    source="CS163 notes, linear classifiers; LeCun et al. 1998, section III.C.1",
    expected="MNIST: 92 to 93.5% (LeCun: 88% by least squares); ten of ten mean digits answer to "
    "their own template",
    minutes=1,
    quick="The 8x8 digits, at 90%.",
)
def linear_templates(context: Context) -> None:
    data = context.dataset("mnist")
    weights, accuracy = train(data, *((20, 0.02) if context.quick else (8, 0.002)))
    context.figure(
        "test accuracy",
        accuracy,
        at_least=0.9 if context.quick else 0.92,
        at_most=None if context.quick else 0.935,
    )
    train_images = data.arrays("train")
    means = np.stack(
        [
            train_images["images"][train_images["labels"] == label].mean(axis=0).ravel()
            for label in range(10)
        ]
    )
    answers = (means - means.mean(axis=0)) @ weights  # (mean of a class, template)
    own = int((answers.argmax(axis=1) == np.arange(10)).sum())
    context.figure("mean images that answer most to their own template", own, expected=10)
    side = data.info.image_shape[0]
    scale = np.abs(weights).max()
    templates = np.round(127.5 + 127.5 * weights / scale).astype(np.uint8)
    context.picture(
        "templates",
        image_row(
            {
                name: templates[:, index].reshape(side, side)
                for index, name in enumerate(data.info.classes)
            },
            columns=5,
        ),
        "The weights of each class: white speaks for it, black against it, grey is zero.",
    )


def train(data, epochs: int, peak: float) -> tuple[np.ndarray, float]:
    """The weights `(pixels, classes)` of a trained linear classifier, and its test accuracy.

    Args:
        data: Data set of images and labels.
        epochs: How long.
        peak: Highest learning rate; the more steps there are, the smaller it may be.
    """
    model = vislearn.create_model("linear_classifier", input_shape=data.info.image_shape)
    steps = data.steps_per_epoch * epochs
    rate = keras.optimizers.schedules.CosineDecay(peak, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.layers[-1].kernel.assign(0 * model.layers[-1].kernel)  # No noise where no pixel ever is.
    arrays = data.arrays("train")
    model.fit(arrays["images"], arrays["labels"], batch_size=128, epochs=epochs, verbose=0)
    test = data.arrays("test")
    _, accuracy = model.evaluate(test["images"], test["labels"], batch_size=500, verbose=0)
    return model.get_weights()[0], accuracy
