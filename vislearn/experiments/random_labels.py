"""A network that learns labels which mean nothing.

Zhang et al. 2017: what a convolutional network fits perfectly with true labels, it fits perfectly
with random ones, and then knows nothing about other images; so the size of a network alone does
not explain that it generalises. Here it is `cifar_cnn` (1.1 million weights) on 10,000 images of
CIFAR-10's training set, with Adam and a cosine, without any regularisation. (The paper takes all
50,000 images and larger networks.)
"""

import keras
import numpy as np

import vislearn
from vislearn.experiments.fitting import fit
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart


@experiment(
    claim="A convolutional network fits random labels perfectly, and tests at chance.",
    source="visual learning notes; Zhang et al., ICLR 2017, arXiv:1611.03530, table 1",
    expected="over 99% of the training images with random labels, 10% of the test images",
    minutes=6,
    quick="150 of the 8x8 digits.",
)
def random_labels(context: Context) -> None:
    data = context.dataset("cifar10")
    train = data.arrays("train", limit=150 if context.quick else 10_000)
    test, few = data.arrays("test"), data.arrays("test", limit=2_000)  # After and while learning.
    random = context.random.integers(len(data.info.classes), size=len(train["labels"]))
    cases = {"true": train["labels"], "random": random}
    options, schedule = {}, {"peak": 1e-3, "epochs": 30, "batch_size": 100}
    if context.quick:
        options = {"filters": (16,), "units": 256}
        schedule = {"peak": 4e-3, "epochs": 30, "batch_size": 25}
    found = {
        name: context.step(
            name, learn, {**train, "labels": labels}, few, test, options, schedule, context.seed
        )
        for name, labels in cases.items()
    }
    for name, values in found.items():
        context.figure(f"training accuracy, {name} labels", values["ends"][0], at_least=0.99)
    context.figure("test accuracy, true labels", found["true"]["ends"][1], at_least=0.5)
    context.figure(
        "test accuracy, random labels",
        found["random"]["ends"][1],
        expected=0.1,
        tolerance=0.06 if context.quick else 0.015,
    )
    epochs = {
        name: int(np.argmax(np.array(values["accuracy"]) > 0.9)) + 1
        for name, values in found.items()
    }
    context.figure(
        "epochs until 90% of the training images, random against true labels",
        epochs["random"] / epochs["true"],
        at_least=1.0,
    )
    numbers = range(1, schedule["epochs"] + 1)
    context.picture(
        "accuracy",
        chart(
            *(
                Panel(
                    f"{images} images",
                    "epoch",
                    "accuracy",
                    {f"{name} labels": (numbers, values[column]) for name, values in found.items()},
                    limits=(0, 1.03),
                )
                for images, column in (("training", "accuracy"), ("test", "test_accuracy"))
            )
        ),
        "Random labels are learned later, and as completely; of other images they say nothing.",
    )


def learn(train, few, test, options: dict, schedule: dict, seed: int) -> dict:
    """The curves of `fit`, and `ends`: accuracy on training and test images when it has ended."""
    keras.utils.set_random_seed(seed)
    model = vislearn.create_model("cifar_cnn", input_shape=train["images"].shape[1:], **options)
    curves = fit(model, train, few, **schedule)
    ends = [
        model.evaluate(part["images"], part["labels"], batch_size=500, verbose=0)[1]
        for part in (train, test)
    ]
    return {**curves, "ends": ends}
