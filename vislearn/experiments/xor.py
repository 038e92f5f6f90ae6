"""Exclusive or: what one line can't separate, one hidden layer can.

Minsky and Papert's example. Of the 16 ways to label the four corners of the square, a line
separates all but two, XOR and its complement; the best a line does there is three corners of four.
A hidden layer of eight tanh units learns XOR from almost every start, one of two units from about
half of them: the smallest network that can represent it is not the one that finds it best.
"""

import keras
import numpy as np
from keras import layers

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures.style import RIGHT, TINTS, WRONG, new_figure, style

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
XOR = np.array([0, 1, 1, 0], "float32")


@experiment(
    claim="A linear model can't compute XOR; one hidden layer can.",
    source="Minsky and Papert, Perceptrons, 1969; visual learning and CS909 notes",
    expected="best line 3 of 4 corners; hidden layer 4 of 4; lines label 14 of 16 ways",
    minutes=0.5,
    quick="3 starts in place of 20, and not the two units.",
)
def xor(context: Context) -> None:
    starts = 3 if context.quick else 20
    context.figure("corners right, best line", best_line(XOR), expected=3)
    labellings = [[number >> bit & 1 for bit in range(4)] for number in range(16)]
    separable = sum(best_line(np.array(labels)) == 4 for labels in labellings)
    context.figure("labellings of the corners that a line separates", separable, expected=14)

    linear, _ = learn(0, starts)
    context.figure("corners right, trained linear model, best start", max(linear), at_most=3)
    found = {}
    for units in (8,) if context.quick else (2, 8):
        right, scores = learn(units, starts)
        found[units] = scores
        context.figure(
            f"share of starts that learn XOR, {units} hidden units",
            np.mean(np.array(right) == 4),
            at_least=0.9 if units == 8 else 0.2,
        )
    context.picture(
        "decision",
        _draw(found[8]),
        "The decision of a network with eight hidden units over the square: blue is true. No line "
        "puts the two blue corners on one side and the two others on the other.",
    )


def best_line(labels: np.ndarray) -> int:
    """The most corners that a line can label rightly, by trying weights and offsets on a grid."""
    weights = np.linspace(-1, 1, 9)
    first, second, offset = np.meshgrid(weights, weights, weights + 0.125, indexing="ij")
    lines = np.stack([first.ravel(), second.ravel()])  # (2, lines)
    positive = CORNERS @ lines + offset.ravel() > 0  # (corners, lines)
    return int((positive == labels[:, None].astype(bool)).sum(axis=0).max())


def learn(units: int, starts: int) -> tuple[list[int], np.ndarray]:
    """Trains a network from several starts at once, each a group of one model.

    Args:
        units: Hidden tanh units; 0 for a linear model.
        starts: How many networks.

    Returns:
        How many corners each labels rightly, and the first successful network's scores over a grid
        of the square `(41, 41)`, or the first network's where none succeeds.
    """
    # Networks of their own weights side by side: (batch, starts, units).
    inputs = keras.Input((2,))
    x = layers.RepeatVector(starts)(inputs)
    if units:
        x = layers.EinsumDense("bsi,sio->bso", (starts, units), bias_axes="so")(x)
        x = layers.Activation("tanh")(x)
    x = layers.EinsumDense("bsi,sio->bso", (starts, 1), bias_axes="so")(x)
    model = keras.Model(inputs, layers.Reshape((starts,))(x))
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False,
    )
    for layer in model.layers:
        if isinstance(layer, layers.EinsumDense):
            # Keras takes the fan of the whole stack; each network has its own of two or `units`.
            shape = layer.kernel.shape
            layer.kernel.assign(keras.random.normal(shape, stddev=shape[1] ** -0.5))
    targets = np.repeat(XOR[:, None], starts, axis=1)
    steps = 300
    examples = np.tile(CORNERS, (steps, 1)), np.tile(targets, (steps, 1))
    model.fit(*examples, batch_size=4, shuffle=False, verbose=0)
    right = ((model.predict_on_batch(CORNERS) > 0) == targets.astype(bool)).sum(axis=0)
    shown = int(np.argmax(right))
    grid = np.stack(np.meshgrid(*[np.linspace(-0.3, 1.3, 41)] * 2), axis=-1).reshape(-1, 2)
    scores = model.predict_on_batch(grid.astype("float32"))[:, shown]
    return [int(count) for count in right], scores.reshape(41, 41)


def _draw(scores):
    with style():
        figure = new_figure(3, 3)
        axes = figure.subplots()
        ticks = np.linspace(-0.3, 1.3, 41)
        axes.contourf(
            ticks, ticks, scores, levels=[-1e9, 0, 1e9], colors=[TINTS[WRONG], TINTS[RIGHT]]
        )
        for corner, value in zip(CORNERS, XOR, strict=True):
            axes.plot(*corner, "o", color=RIGHT if value else WRONG, markersize=8)
        axes.set(xlabel="a", ylabel="b", aspect="equal", xticks=[0, 1], yticks=[0, 1])
        figure.tight_layout()
    return figure
