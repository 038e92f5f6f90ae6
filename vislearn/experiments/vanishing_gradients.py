"""How the gradient shrinks on its way down a deep network.

Perceptrons of 64 units a layer, at the start of training, on normal inputs: the norm of the loss's
gradient by the biases, which is what arrives at a layer, of the first layer against that of the
last hidden one. Sigmoid and tanh have Glorot's weights, ReLU He's. The slope of the sigmoid is at
most 1/4, so that nearly a factor of four goes with each layer. Tanh with Glorot's weights is near
the border, where the gradient falls to a fifth or so in 20 layers; with smaller weights, or with
saturated units, as the notes' picture assumes, it vanishes.
"""

import keras
import numpy as np
from keras import layers, ops

from vislearn import backend
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

WIDTH, DEPTH = 64, 20
CASES = {
    "sigmoid": ("sigmoid", keras.initializers.GlorotNormal, 1.0),
    "tanh": ("tanh", keras.initializers.GlorotNormal, 1.0),
    "tanh, weights x 0.7": ("tanh", keras.initializers.GlorotNormal, 0.7),
    "ReLU": ("relu", keras.initializers.HeNormal, 1.0),
}


@experiment(
    claim="Gradients of sigmoid and tanh networks shrink with depth, those of ReLU do not.",
    source="CS163, ECE 5307 and CS909 notes; Glorot and Bengio 2010; He et al. 2015, "
    "arXiv:1502.01852",
    expected="first layer against last of 20: below 1e-6 for sigmoid, near 1 for ReLU; for tanh it "
    "depends on the weights",
    minutes=0.1,
    quick="One start in place of five.",
)
def vanishing_gradients(context: Context) -> None:
    starts = 1 if context.quick else 5
    norms = {
        name: np.exp(
            np.mean([np.log(gradient_norms(*case, context)) for _ in range(starts)], axis=0)
        )
        for name, case in CASES.items()
    }
    ratios = {name: values[0] / values[-1] for name, values in norms.items()}
    context.figure("sigmoid: first layer / last", ratios["sigmoid"], at_most=1e-6)
    context.figure("tanh, Glorot's weights: first layer / last", ratios["tanh"])
    context.figure(
        "tanh, 0.7 of these weights: first layer / last",
        ratios["tanh, weights x 0.7"],
        at_most=0.01,
    )
    context.figure("ReLU: first layer / last", ratios["ReLU"], at_least=0.1, at_most=10)
    context.figure("ReLU against sigmoid", ratios["ReLU"] / ratios["sigmoid"], at_least=1e5)
    context.note(
        "Of tanh the claim is true for smaller or saturating weights, of which 0.7 times Glorot's "
        "is measured; with Glorot's own the gradient falls only a little."
    )
    numbers = range(1, DEPTH + 1)
    context.picture(
        "norms",
        chart(
            Panel(
                "gradient by layer",
                "layer",
                "norm of the gradient",
                {name: (numbers, values) for name, values in norms.items()},
                log="y",
            ),
            height=3.2,
        ),
        "The norm of the gradient by the biases of each layer, before the first step.",
    )


def gradient_norms(activation: str, initializer, scale: float, context: Context) -> np.ndarray:
    """The norms of the gradients by the biases of each hidden layer, the first one first."""
    model = keras.Sequential([keras.Input((WIDTH,))])
    for _ in range(DEPTH):
        seed = int(context.random.integers(2**31))
        model.add(layers.Dense(WIDTH, activation, kernel_initializer=initializer(seed)))
    model.add(layers.Dense(10, kernel_initializer=keras.initializers.GlorotNormal(seed + 1)))
    for layer in model.layers:
        layer.kernel.assign(layer.kernel * scale)
    x = context.random.normal(size=(128, WIDTH)).astype("float32")
    labels = context.random.integers(0, 10, 128)

    def loss():
        logits = model(x)
        return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True))

    biases = [layer.bias for layer in model.layers[:-1]]
    _, gradients = backend.value_and_gradients(loss, biases, model.weights)
    return np.array([float(ops.norm(gradient)) for gradient in gradients])
