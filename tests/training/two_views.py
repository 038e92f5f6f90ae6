"""Small networks without heads, and two views of each picture for them."""

import keras
import numpy as np

import vislearn

TINY = {"input_shape": (8, 8, 1), "num_classes": 0}


def create(name: str = "lenet5", **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    if name == "lenet5":
        options = {"filters": (4, 4), "units": 12, **options}
    return vislearn.create_model(name, **{**TINY, **options})


def views(count: int = 6, common: int = 200):
    """Two views `(count, 2, 8, 8, 1)` of pictures, which share `common` of their 255 levels."""
    rng = np.random.default_rng(0)
    shared = rng.uniform(0, common, (count, 1, 8, 8, 1))
    own = rng.uniform(0, 255 - common, (count, 2, 8, 8, 1))
    return (shared + own).astype("float32")
