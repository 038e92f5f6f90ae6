"""Max and mean pooling backwards.

Forwards each takes 2x2 pixels to one. Backwards max pooling sends the whole gradient to the pixel
that won and nothing to the others, mean pooling a quarter to each: the gradient of a patch sums to
what came in, in both. Where two pixels tie the backends disagree, which is reported and not judged.
"""

import numpy as np
from keras import layers, ops

from vislearn import backend
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import image_row

IMAGE = np.array([[1, 5, 2, 0], [3, 4, 7, 6], [8, 2, 1, 3], [0, 1, 4, 2]], "float32")
UPSTREAM = np.array([[1, 2], [3, 4]], "float32")
# By hand: 5 wins the first patch, 7 the second, 8 the third, 4 the fourth.
BY_MAX = np.array([[0, 1, 0, 0], [0, 0, 2, 0], [3, 0, 0, 0], [0, 0, 4, 0]], "float32")
BY_MEAN = np.kron(UPSTREAM, np.full((2, 2), 0.25, "float32"))


@experiment(
    claim="Max pooling passes the gradient to the winner alone, mean pooling in equal parts.",
    source="CNN lecture notes, backpropagation through pooling",
    expected="equal to the arrays by hand",
    minutes=0.05,
    quick="The same as the full run.",
)
def pooling_gradient(context: Context) -> None:
    shown = {"image": IMAGE.astype(float)}
    for name, layer, by_hand in (
        ("max", layers.MaxPooling2D(2), BY_MAX),
        ("mean", layers.AveragePooling2D(2), BY_MEAN),
    ):
        found = gradient(layer, IMAGE)
        context.figure(
            f"{name}: largest difference from the gradient by hand",
            np.abs(found - by_hand).max(),
            expected=0,
        )
        context.figure(
            f"{name}: sum of the gradient", found.sum(), expected=UPSTREAM.sum(), tolerance=1e-6
        )
        context.figure(
            f"{name}: pixels with a gradient",
            np.count_nonzero(found),
            expected=np.count_nonzero(by_hand),
        )
        shown[f"gradient, {name}"] = found.astype(float)
    tie = gradient(layers.MaxPooling2D(2), np.ones_like(IMAGE))
    context.figure("max: pixels with a gradient where all are equal", np.count_nonzero(tie))
    context.picture(
        "gradients",
        image_row(shown, side=1.6),
        "The image, and what arrives at its pixels when 1, 2, 3 and 4 arrive at the four outputs.",
    )


def gradient(layer, image: np.ndarray) -> np.ndarray:
    """What arrives at the pixels when `UPSTREAM` arrives at the outputs of a pooling layer."""
    upstream = ops.convert_to_tensor(UPSTREAM[None, :, :, None])
    batch = ops.convert_to_tensor(image[None, :, :, None])
    found = backend.input_gradient(lambda x: layer(x) * upstream, batch, [])
    return ops.convert_to_numpy(found)[0, :, :, 0]
