"""A filter learned from one image and what the filter made of it.

A convolution is linear in its nine weights, so that an image and its filtered version determine
them: by least squares in one stroke, and by gradient descent as in any network. Neighbouring pixels
of a photograph are nearly equal, which makes the nine directions differ a thousandfold in
curvature; gradient descent needs momentum to come near in a few hundred steps.
"""

import keras
import numpy as np
from keras import layers

from vislearn.experiments.classic_filters import FILTERS, correlate
from vislearn.experiments.harness import Context, experiment
from vislearn.experiments.photograph import grey_photograph
from vislearn.pictures import image_row

TARGETS = ("sharpen", "Sobel, x")


@experiment(
    claim="One image and its filtered version are enough to learn a 3x3 filter.",
    source="CS909 notes, learning a filter",
    expected="all nine weights to 1%",
    minutes=0.1,
    quick="One filter in place of two.",
)
def learn_filter(context: Context) -> None:
    photograph = grey_photograph(64)
    photograph = (photograph - photograph.mean()) / photograph.std()
    shown = {}
    for name in TARGETS[:1] if context.quick else TARGETS:
        target = correlate(photograph, FILTERS[name])
        solved = solve(photograph, target)
        context.figure(
            f"{name}: largest error of a weight, least squares",
            np.abs(solved - FILTERS[name]).max(),
            at_most=1e-3,
        )
        learned = learn(photograph, target)
        context.figure(
            f"{name}: largest error of a weight, learned",
            np.abs(learned - FILTERS[name]).max(),
            at_most=0.01,
        )
        shown |= {
            f"{name}: target": target,
            f"{name}: by the learned": correlate(photograph, learned),
            f"{name}": FILTERS[name].astype(float),
            f"{name} as learned": learned,
        }
    context.picture(
        "learned",
        image_row(shown, columns=4),
        "The target, what the learned filter makes of the photograph, the filter and the learned "
        "one.",
    )


def solve(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The filter `(3, 3)` of least squares."""
    patches = np.lib.stride_tricks.sliding_window_view(image, (3, 3)).reshape(-1, 9)
    return np.linalg.lstsq(patches, target.ravel(), rcond=None)[0].reshape(3, 3)


def learn(image: np.ndarray, target: np.ndarray, steps: int = 400) -> np.ndarray:
    """The filter `(3, 3)` that a convolutional layer learns from the whole image in each step."""
    model = keras.Sequential([keras.Input((*image.shape, 1)), layers.Conv2D(1, 3, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    copies = [np.repeat(array[None, :, :, None], steps, axis=0) for array in (image, target)]
    model.fit(*copies, batch_size=1, verbose=0)
    return model.get_weights()[0][:, :, 0, 0]
