"""Full, same and valid convolution: what becomes of the border.

A 9x9 filter on 512 pixels. `full` is every place where filter and image meet at all, `valid` every
place where the filter lies within the image, `same` the middle 512 of the former. What Keras
computes is compared with SciPy, and what zeros do to the border is measured on a white image: in a
corner the mean filter sees 25 white pixels of 81.
"""

import numpy as np
from keras import ops

from vislearn.experiments.harness import Context, experiment
from vislearn.experiments.photograph import grey_photograph
from vislearn.pictures import image_row

SIDE, KERNEL = 512, 9


@experiment(
    claim="A 9x9 filter makes 520, 512 or 504 pixels of 512: full, same or valid convolution.",
    source="ECE 5307 notes, padding",
    expected="520, 512 and 504 pixels; 25/81 of the brightness in a corner",
    minutes=0.05,
    quick="The same as the full run.",
)
def padding_modes(context: Context) -> None:
    from scipy.signal import convolve2d

    photograph = grey_photograph(SIDE)
    # Without symmetry, so that a filter which is not turned round would be noticed.
    kernel = context.random.random((KERNEL, KERNEL)).astype("float32")
    kernel /= kernel.sum()
    shown = {"input, 512": photograph}
    for mode, side in (("full", 520), ("same", 512), ("valid", 504)):
        ours = convolve(photograph, kernel, mode)
        context.figure(f"side, {mode}", len(ours), expected=side)
        difference = np.abs(ours - convolve2d(photograph, kernel, mode)).max()
        context.figure(f"largest difference from SciPy, {mode}", difference, at_most=1e-3)
        shown[f"{mode}, {side}"] = ours.clip(0, 255).round().astype(np.uint8)

    mean = np.full((KERNEL, KERNEL), 1 / KERNEL**2, "float32")
    white = np.ones((32, 32), "float32")
    context.figure(
        "white in the corner after `same`",
        convolve(white, mean, "same")[0, 0],
        expected=25 / 81,
        tolerance=1e-6,
    )
    context.figure(
        "white in the corner after `valid`",
        convolve(white, mean, "valid")[0, 0],
        expected=1,
        tolerance=1e-6,
    )
    context.picture(
        "modes",
        image_row(shown, side=1.9),
        "The same filter in the three modes. Outside the image are zeros, so that full and same "
        "darken towards the border; valid does not, and is smaller.",
    )


def convolve(image: np.ndarray, kernel: np.ndarray, mode: str) -> np.ndarray:
    """Convolution of a grey image, by Keras: its operation correlates, so the filter is turned.

    Args:
        image: `(height, width)`.
        kernel: `(side, side)`, odd.
        mode: `"full"`, `"same"` or `"valid"`.
    """
    if mode == "full":
        image, mode = np.pad(image, len(kernel) - 1), "valid"
    batch = ops.convert_to_tensor(image[None, :, :, None], "float32")
    weights = ops.convert_to_tensor(kernel[::-1, ::-1, None, None].copy(), "float32")
    return ops.convert_to_numpy(ops.conv(batch, weights, padding=mode))[0, :, :, 0]
