"""Small image folders, written on the spot."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def encoded(pixels, format: str = "PNG", mode: str | None = None, **options) -> bytes:
    """The bytes of an image file with these pixels."""
    image = Image.fromarray(np.asarray(pixels))
    if mode is not None:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def noise(seed: int, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray:
    """Random pixels, `(height, width, channels)` uint8, or two-dimensional for one channel."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def make_folder(tmp_path):
    """A function that writes images of noise as PNG files below a new folder."""

    def make(layout: dict[str, int], name: str = "pictures", **options) -> Path:
        """`layout` is `{"cat": 3}` or `{"train/cat": 3}`: how many images in which folder."""
        root = tmp_path / name
        seed = 0
        for place, count in layout.items():
            (root / place).mkdir(parents=True)
            for index in range(count):
                seed += 1
                (root / place / f"{index:03}.png").write_bytes(encoded(noise(seed, **options)))
        return root

    return make


@pytest.fixture(scope="session")
def bccd(real_data) -> Path:
    """Blood cells in the layout of Pascal VOC, in a folder of their own."""
    return real_data("bccd")


@pytest.fixture(scope="session")
def coco100(real_data) -> Path:
    """200 images of COCO with boxes, outlines and semantic masks."""
    return real_data("coco100") / "coco100"
