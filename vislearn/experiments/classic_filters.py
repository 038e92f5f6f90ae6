"""Identity, blur, sharpen, edges and Sobel: filters by hand, and what each does exactly.

The properties that make a filter what it is, on a photograph and on images whose answers are known:
a flat one and a ramp. A layer of a network correlates; a convolution turns the filter round first,
which matters where the filter has no symmetry (Sobel changes its sign) and only there.
"""

import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.experiments.padding_modes import convolve
from vislearn.experiments.photograph import grey_photograph
from vislearn.pictures import image_row

FILTERS = {
    "identity": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "box blur": np.full((3, 3), 1 / 9),
    "Gaussian blur": np.outer([1, 2, 1], [1, 2, 1]) / 16,
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "edges": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    "Sobel, x": np.outer([1, 2, 1], [-1, 0, 1]),
    "Sobel, y": np.outer([-1, 0, 1], [1, 2, 1]),
}


@experiment(
    claim="A 3x3 filter copies, blurs, sharpens or finds edges by its nine numbers alone.",
    source="ECE 5307 and CS909 notes, filters; Sobel and Feldman 1968",
    expected="on a flat image 1 for identity, blur and sharpen, 0 for edges and Sobel; on a ramp 8 "
    "for Sobel as correlation and -8 as convolution",
    minutes=0.05,
    quick="The same on a smaller photograph.",
)
def classic_filters(context: Context) -> None:
    flat = np.ones((8, 8), "float32")
    for name, kernel in FILTERS.items():
        context.figure(
            f"{name} on a flat image of 1",
            correlate(flat, kernel)[0, 0],
            expected=round(kernel.sum()),
            tolerance=1e-6,
        )
    ramp = np.tile(np.arange(8, dtype="float32"), (8, 1))
    sobel = FILTERS["Sobel, x"]
    context.figure("Sobel on a ramp of slope 1", correlate(ramp, sobel)[0, 0], expected=8)
    context.figure(
        "Sobel on this ramp, as convolution", convolve(ramp, sobel, "valid")[0, 0], expected=-8
    )

    photograph = grey_photograph(128 if context.quick else 256)
    found = {name: correlate(photograph, kernel) for name, kernel in FILTERS.items()}
    inner = photograph[1:-1, 1:-1]
    context.figure("identity, largest change", np.abs(found["identity"] - inner).max(), expected=0)
    for name in ("Gaussian blur", "edges"):
        turned = convolve(photograph, FILTERS[name], "valid")
        context.figure(
            f"{name}, convolution against correlation",
            np.abs(found[name] - turned).max(),
            at_most=1e-3,
        )
    # The blurred image plus what blurring took is the image: sharpening adds more of the latter.
    context.figure("contrast after blur", found["box blur"].std() / inner.std(), at_most=1)
    context.figure("contrast after sharpening", found["sharpen"].std() / inner.std(), at_least=1)
    gradient = np.hypot(found["Sobel, x"], found["Sobel, y"])
    shown = {"photograph": photograph.astype(np.uint8)}
    for name, image in found.items():
        signed = FILTERS[name].sum() < 0.5
        shown[name] = image if signed else image.clip(0, 255).astype(np.uint8)
    context.picture(
        "filters",
        image_row(shown | {"Sobel, strength": gradient}, columns=5),
        "What the filters make of a photograph. Where a filter sums to nothing, grey is zero.",
    )


def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What a layer of a network computes, without padding."""
    return convolve(image, kernel[::-1, ::-1], "valid")
