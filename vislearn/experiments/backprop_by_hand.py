"""Gradients by hand against automatic differentiation.

Two small graphs of the notes, whose every derivative can be written down, and a network with one
hidden layer, whose four gradients are derived on paper:

    h = x W1 + b1,  a = sigmoid(h),  s = a W2 + b2,  p = softmax(s),  L = mean(-log p_label)
    dL/ds = (p - onehot) / n    dL/dW2 = a' dL/ds      dL/db2 = sum of dL/ds
    dL/da = dL/ds W2'           dL/dh = dL/da a (1 - a)
    dL/dW1 = x' dL/dh           dL/db1 = sum of dL/dh
"""

import keras
import numpy as np
from keras import ops

from vislearn import backend
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart


@experiment(
    claim="Backpropagation by hand gives what automatic differentiation gives.",
    source="CS163 and CS909 notes; Stanford CS231n (x + y) z; Olah 2015 (a + b)(b + 1)",
    expected="(x + y) z at (-2, 5, -4): -4, -4, 3; (a + b)(b + 1) at (2, 1): 2, 5; a two-layer "
    "network to 1e-6",
    minutes=0.05,
    quick="The same as the full run.",
)
def backprop_by_hand(context: Context) -> None:
    graphs = {
        "(x + y) z": (lambda x, y, z: (x + y) * z, {"x": -2, "y": 5, "z": -4}, (-12, -4, -4, 3)),
        "(a + b)(b + 1)": (lambda a, b: (a + b) * (b + 1), {"a": 2, "b": 1}, (6, 2, 5)),
    }
    for name, (function, at, expected) in graphs.items():
        found = differentiate(function, list(at.values()))
        names = ["value", *(f"derivative by {letter}" for letter in at)]
        for what, value, right in zip(names, found, expected, strict=True):
            context.figure(f"{name}: {what}", value, expected=right)

    x = context.random.normal(size=(16, 5)).astype("float32")
    labels = context.random.integers(0, 3, 16)
    weights = [
        context.random.normal(size=shape).astype("float32")
        for shape in ((5, 8), (8,), (8, 3), (3,))
    ]
    loss, ours = by_hand(x, labels, weights)
    automatic_loss, theirs = automatically(x, labels, weights)
    context.figure("network: difference of the loss", abs(loss - automatic_loss), at_most=1e-6)
    for name, mine, other in zip(("W1", "b1", "W2", "b2"), ours, theirs, strict=True):
        context.figure(
            f"network: largest difference of the gradient by {name}",
            np.abs(mine - other).max(),
            at_most=1e-6,
        )
    points = {
        name: (mine.ravel(), other.ravel())
        for name, mine, other in zip(
            ("W1", "W2"), (ours[0], ours[2]), (theirs[0], theirs[2]), strict=True
        )
    }
    ends = [min(ours[0].min(), ours[2].min()), max(ours[0].max(), ours[2].max())]
    context.picture(
        "gradients",
        chart(
            Panel("each weight's gradient", "by hand", "automatic", {"equal": (ends, ends)}, points)
        ),
        "The gradients by all weights of the network, by hand and automatic.",
    )


def differentiate(function, at: list[float]) -> list[float]:
    """The value of a function of scalars, and its derivatives by each."""
    variables = [keras.Variable(float(value)) for value in at]
    value, gradients = backend.value_and_gradients(
        lambda: function(*(variable.value for variable in variables)), variables, variables
    )
    return [float(value), *(float(gradient) for gradient in gradients)]


def by_hand(x, labels, weights) -> tuple[float, list[np.ndarray]]:
    """Loss and gradients of the network, by the formulas above."""
    w1, b1, w2, b2 = weights
    a = 1 / (1 + np.exp(-(x @ w1 + b1)))  # (n, hidden)
    s = a @ w2 + b2  # (n, classes)
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    n = len(x)
    ds = (p - np.eye(p.shape[1])[labels]) / n
    dh = ds @ w2.T * a * (1 - a)
    loss = -np.log(p[np.arange(n), labels]).mean()
    return float(loss), [x.T @ dh, dh.sum(axis=0), a.T @ ds, ds.sum(axis=0)]


def automatically(x, labels, weights) -> tuple[float, list[np.ndarray]]:
    """The same by the backend."""
    w1, b1, w2, b2 = variables = [keras.Variable(weight) for weight in weights]

    def loss():
        a = ops.sigmoid(ops.matmul(x, w1.value) + b1.value)
        s = ops.matmul(a, w2.value) + b2.value
        return ops.mean(ops.sparse_categorical_crossentropy(labels, s, from_logits=True))

    value, gradients = backend.value_and_gradients(loss, variables, variables)
    return float(value), [ops.convert_to_numpy(gradient) for gradient in gradients]
