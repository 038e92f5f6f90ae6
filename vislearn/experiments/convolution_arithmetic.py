"""What a convolution costs: output sizes, weights and multiply-adds.

The numbers of the notes, not from the formula `(W - F + 2P) / S + 1` but from built networks and
the package's own counters: Keras decides the shapes, `count_multiply_adds` counts. Where the
formula gives no integer (7 pixels, filter 3, stride 3: 2.33), Keras rounds down and ignores the
last pixels.
"""

import keras
from keras import layers

from vislearn.experiments.harness import Context, experiment
from vislearn.layers import LocallyConnected2D
from vislearn.multiply_adds import count_multiply_adds
from vislearn.pictures import Panel, chart

# Input side, filter, padding, stride -> output side.
SIZES = {
    (7, 3, 0, 1): 5,
    (7, 3, 0, 2): 3,
    (7, 3, 0, 3): 2,
    (7, 3, 1, 1): 7,
    (32, 5, 2, 1): 32,
    (227, 11, 0, 4): 55,
}


@experiment(
    claim="A convolution's size, weights and multiply-adds follow from its filter, padding and "
    "stride alone.",
    source="CS163 and CNN lecture notes; Stanford CS231n, convolutional networks",
    expected="760 parameters and 768,000 multiply-adds for ten 5x5 filters on 32x32x3; 34,848 "
    "weights in AlexNet's first layer, 105,415,200 if they were not shared",
    minutes=0.05,
    quick="The same as the full run.",
)
def convolution_arithmetic(context: Context) -> None:
    for (side, kernel, padding, stride), expected in SIZES.items():
        context.figure(
            f"output side of {side} pixels, filter {kernel}, padding {padding}, stride {stride}",
            convolved(side, 1, 1, kernel, padding, stride).output_shape[1],
            expected=expected,
        )
    ten = convolved(32, 3, 10, 5, 2, 1)
    context.figure("parameters of ten 5x5 filters", ten.count_params(), expected=760)
    context.figure("their multiply-adds on 32x32x3", count_multiply_adds(ten), expected=768_000)
    context.figure("outputs of these filters", 32 * 32 * ten.output_shape[-1], expected=10_240)

    first = convolved(227, 3, 96, 11, 0, 4)
    kernel = first.layers[-1].kernel
    context.figure("weights of AlexNet's first layer", _size(kernel), expected=34_848)
    with keras.StatelessScope(initialize_variables=False):  # Shapes without 400 MB of values.
        unshared = LocallyConnected2D(96, 11, stride=4)
        unshared.build((None, 227, 227, 3))
    context.figure(
        "weights of this layer without sharing", _size(unshared.kernel), expected=105_415_200
    )

    sides = range(1, 33)
    lines = {
        f"stride {stride}": (sides, [(32 - kernel) // stride + 1 for kernel in sides])
        for stride in (1, 2, 4)
    }
    context.picture(
        "sizes",
        chart(Panel("32 pixels, no padding", "side of the filter", "side of the output", lines)),
        "What is left of 32 pixels by the side of the filter: each stride divides what is left.",
    )


def convolved(side: int, channels: int, filters: int, kernel: int, padding: int, stride: int):
    """A network of one convolution of a square image."""
    inputs = keras.Input((side, side, channels))
    x = layers.ZeroPadding2D(padding)(inputs)
    return keras.Model(inputs, layers.Conv2D(filters, kernel, stride)(x))


def _size(variable) -> int:
    size = 1
    for extent in variable.shape:
        size *= extent
    return size
