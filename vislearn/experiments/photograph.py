"""The photograph that experiments with filters share."""

import numpy as np


def grey_photograph(side: int) -> np.ndarray:
    """The middle of scikit-learn's picture of a temple roof, float32 0..255 `(side, side)`."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    picture = Image.fromarray(load_sample_image("china.jpg")).convert("L")
    edge = min(picture.size)
    left, upper = (picture.width - edge) // 2, (picture.height - edge) // 2
    square = picture.crop((left, upper, left + edge, upper + edge))
    return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS), "float32")
