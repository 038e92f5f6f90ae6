"""Data sets: folders of images, TFDS, the embedded digits; decoded, split, augmented, batched."""

import importlib

_HOMES = {
    "AUGMENTATIONS": "augmentation",
    "Dataset": "dataset",
    "DatasetInfo": "dataset",
    "ImageError": "images",
    "image_header": "images",
    "fit_image": "images",
    "load_dataset": "loading",
    "read_image": "images",
}

__all__ = [*_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'vislearn.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vislearn.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
