"""A perceptron without its non-linearity is a linear classifier.

One network, `mlp` with layers of 256 and 84 units, once with ReLU and once with the identity, which
has the same number of weights and is trained alike, with Adam and a cosine. That the three matrices
of the second are one is computed: their product answers as the network does.
"""

import keras
import numpy as np

import vislearn
from vislearn.experiments.fitting import fit
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart


@experiment(
    claim="Removing the non-linearity of a perceptron makes it a linear classifier, and costs "
    "accuracy on MNIST.",
    source="visual learning notes, from linear models to networks",
    expected="about 98% with ReLU, 92 to 93% without; the linear network is one matrix",
    minutes=1.5,
    quick="The 8x8 digits, of which a linear model knows nearly all: the cost is not checked.",
)
def linear_vs_mlp(context: Context) -> None:
    data = context.dataset("mnist")
    sets = data.arrays("train"), data.arrays("test")
    schedule = {"peak": 1e-3, "epochs": 10, "batch_size": 128}
    if context.quick:
        schedule = {"peak": 1e-2, "epochs": 10, "batch_size": 64}
    found = {
        activation: context.step(activation, learn, activation, sets, schedule, context)
        for activation in ("relu", "linear")
    }
    accuracy = {name: values["test_accuracy"][-1] for name, values in found.items()}
    context.figure(
        "test accuracy with ReLU", accuracy["relu"], at_least=0.9 if context.quick else 0.975
    )
    context.figure(
        "test accuracy without", accuracy["linear"], at_least=0.9, at_most=0.935, full_only=True
    )
    context.figure(
        "what the non-linearity adds",
        accuracy["relu"] - accuracy["linear"],
        at_least=0.04,
        full_only=True,
    )
    context.figure(
        "one matrix in place of three: relative difference of the logits",
        found["linear"]["difference"],
        at_most=1e-5,
    )
    numbers = range(1, schedule["epochs"] + 1)
    context.picture(
        "mistakes",
        chart(
            Panel(
                "mistakes",
                "epoch",
                "share of test images",
                {
                    name: (numbers, 1 - np.array(found[activation]["test_accuracy"]))
                    for name, activation in (("with ReLU", "relu"), ("without", "linear"))
                },
                log="y",
            )
        ),
        "The same network with and without its non-linearity.",
    )


def learn(activation: str, sets, schedule: dict, context: Context) -> dict:
    """The accuracies of a perceptron, and how far one matrix is from it; see `fit`."""
    keras.utils.set_random_seed(context.seed)
    shape = sets[0]["images"].shape[1:]
    model = vislearn.create_model("mlp", input_shape=shape, activation=activation)
    found = fit(model, *sets, **schedule)
    images = context.random.uniform(0, 255, (100, *shape)).astype("float32")
    logits = model.predict_on_batch(images)
    difference = np.abs(one_matrix(model, images) - logits).max() / np.abs(logits).max()
    return {**found, "difference": float(difference)}


def one_matrix(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """What the product of a network's matrices answers to images `(n, height, width, channels)`."""
    pixels = images[0].size
    weights, offset = np.eye(pixels), np.zeros(pixels)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            weights, offset = weights @ kernel, offset @ kernel + bias
    return images.reshape(len(images), -1) / 255 @ weights + offset
