"""Small image folders, written on the spot."""

import io
import os
import tarfile
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


def real_data(name: str, tmp_path_factory) -> Path:
    """The folder that an archive of real data is unpacked to, where it is at hand."""
    place = os.environ.get("VISLEARN_TEST_DATA")
    folder = Path(place) if place else Path(__file__).parents[3] / "shared" / "data"
    archive = folder / f"{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}: set VISLEARN_TEST_DATA to the folder that holds it")
    target = tmp_path_factory.mktemp(name)
    with tarfile.open(archive) as file:
        file.extractall(target, filter="data")
    return target


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory) -> Path:
    """CIFAR-10 as a folder of JPEG files."""
    return real_data("cifar10", tmp_path_factory)


@pytest.fixture(scope="session")
def bccd(tmp_path_factory) -> Path:
    """Blood cells in the layout of Pascal VOC, in a folder of their own."""
    return real_data("bccd", tmp_path_factory)


@pytest.fixture(scope="session")
def coco100(tmp_path_factory) -> Path:
    """200 images of COCO with boxes, outlines and semantic masks."""
    return real_data("coco100", tmp_path_factory) / "coco100"
