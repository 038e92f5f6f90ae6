"""Many images at once: decoded by threads, each file checked, bad ones named."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vislearn.cores import usable_cores
from vislearn.data.images import MAX_PIXELS, Fit, ImageError, fit_image, plan_fit, read_image

# A file, the content of one, or the pixels themselves: (height, width, 1 or 3) uint8.
Source = Path | bytes | np.ndarray

# Pixels beyond this stay in their files under cache="auto".
AUTO_CACHE_BYTES = 2 * 2**30
CACHES = ("auto", "memory", "none")
_CHUNK = 16  # files a task: small ones take 0.1 ms each, hardly more than handing them over


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a reader finds before any picture is decoded.

    Attributes:
        classes: Names of the classes in the order of their numbers; may be empty.
        files: By split each picture and what is known about it: a class number, `Objects`, a
            `SemanticMask` or None. One split `"all"` where the data comes in one piece.
        notes: What was decided on the way.
        keypoints: Names of the key points of an object.
    """

    classes: tuple[str, ...]
    files: dict[str, list[tuple[Source, Any]]]
    notes: list[str]
    keypoints: tuple[str, ...] = ()


class MixedSizesError(ValueError):
    """The images have several sizes, and nobody said which one is wanted."""


@dataclasses.dataclass(frozen=True)
class Format:
    """How a file becomes an example.

    Attributes:
        size: `(height, width)`, or None for the image's own.
        channels: 1 or 3, or None for what the image has.
        resize: Mode of `fit_image`.
        max_pixels: Limit of `read_image`.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    resize: str = "crop"
    max_pixels: int = MAX_PIXELS

    def read(self, source: Source) -> np.ndarray:
        """`(height, width, channels)` uint8 of one source."""
        return self.fit(self.decode(source))

    def decode(self, source: Source) -> np.ndarray:
        """The image at its own size."""
        if not isinstance(source, np.ndarray):
            return read_image(source, channels=self.channels, max_pixels=self.max_pixels)
        channels = source.shape[2] if self.channels is None else self.channels
        if channels == source.shape[2]:
            return source
        if channels == 3:
            return np.repeat(source, 3, axis=2)
        return np.asarray(Image.fromarray(source).convert("L"))[:, :, np.newaxis]

    def fit(self, image: np.ndarray) -> np.ndarray:
        """The image at the size of the format."""
        return image if self.size is None else fit_image(image, self.size, self.resize)


@dataclasses.dataclass(frozen=True)
class Images:
    """Images that are all alike, in memory or in files.

    Attributes:
        shape: `(height, width, channels)` of each.
        pixels: `(n, height, width, channels)` uint8, or None where they stay in files.
        sources: Path, content or pixels of each image, in the same order.
        format: How a source is read.
        own_sizes: `(n, 2)`, height and width of each source before it was brought to this shape.
    """

    shape: tuple[int, int, int]
    pixels: np.ndarray | None
    sources: Sequence[Source]
    format: Format
    own_sizes: np.ndarray
    dtype = np.dtype(np.uint8)

    def fit_of(self, index: int) -> Fit:
        """How this image was brought to its size, to move its annotations with it."""
        height, width = self.own_sizes[index].tolist()
        return plan_fit((height, width), self.shape[:2], self.format.resize)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """The images of these indices, `(len(indices), height, width, channels)` uint8."""
        if self.pixels is not None:
            return self.pixels[indices]
        found = np.empty((len(indices), *self.shape), np.uint8)

        def fill(places: np.ndarray) -> None:
            for place in places:
                found[place] = self.format.read(self.sources[indices[place]])

        list(self._pool.map(fill, np.array_split(np.arange(len(indices)), usable_cores())))
        return found

    @functools.cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(usable_cores(), thread_name_prefix="vislearn-images")


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file that was left out: its index among the sources, and why."""

    index: int
    error: ImageError


def read_images(
    sources: Sequence[Source],
    format: Format,
    *,
    cache: str = "auto",
    strict: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> tuple[Images, list[Skipped]]:
    """Decodes every file, which is also the check of each.

    Args:
        sources: Path, content or pixels of each image.
        format: How they are read. Where `size` is None all must have the same; where `channels` is
            None it becomes 1 if every image is grey, else 3.
        cache: `"memory"` keeps the pixels, `"none"` leaves them in the files, `"auto"` keeps them
            up to 2 GiB.
        strict: Raise for the first file that can't be used, instead of leaving it out.
        progress: Called with the number of files done.

    Returns:
        The images that could be read, in the order of the sources, and the files left out.

    Raises:
        MixedSizesError: If `format.size` is None and two images differ in size.
        ImageError: If `strict` and a file can't be used.
        ValueError: If no image can be read.
    """
    skipped: list[Skipped] = []
    own_sizes: list[tuple[int, int]] = []
    first, shape, pixels = None, None, None
    # Closed at once when something is wrong, so that the threads don't go on behind the error.
    with contextlib.closing(_decoded(sources, format)) as decoded:
        for index, image in enumerate(decoded):
            progress(index)
            if isinstance(image, ImageError):
                if strict:
                    raise image
                skipped.append(Skipped(index, image))
                continue
            image, own_size = image
            own_sizes.append(own_size)
            if shape is None:
                first, shape = index, image.shape
                pixels = _allocate(len(sources), shape, cache)
            if image.shape[:2] != shape[:2]:
                one, two = _describe(sources, first, shape), _describe(sources, index, image.shape)
                raise MixedSizesError(
                    f"The images differ in size: {one}, {two}. "
                    "Pass image_size to bring them to one."
                )
            if image.shape[2] > shape[2]:  # the first colour image after grey ones
                shape = image.shape
                grown = _allocate(len(sources), shape, cache)
                if grown is not None:
                    grown[:index] = pixels[:index]
                pixels = grown
            if pixels is not None:
                pixels[index] = image  # A grey image among coloured ones fills all three channels.
    if shape is None:
        reason = f"; the first: {skipped[0].error}" if skipped else ""
        raise ValueError(f"None of the {len(sources)} files can be read as an image{reason}.")
    progress(len(sources))
    left_out = {item.index for item in skipped}
    kept = [index for index in range(len(sources)) if index not in left_out]
    if pixels is not None and skipped:
        pixels = pixels[kept]
    exact = dataclasses.replace(format, size=shape[:2], channels=shape[2])
    return Images(
        shape, pixels, [sources[index] for index in kept], exact, np.array(own_sizes)
    ), skipped


def _decoded(sources, format: Format) -> Iterator[tuple[np.ndarray, tuple[int, int]] | ImageError]:
    """The image of each source in order and its own size, or the reason why there is none."""
    pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="vislearn-images")
    chunks = [sources[start : start + _CHUNK] for start in range(0, len(sources), _CHUNK)]
    try:
        for images in pool.map(functools.partial(_read_chunk, format=format), chunks):
            yield from images
    finally:
        pool.shutdown(cancel_futures=True)


def _read_chunk(sources, format: Format):
    found = []
    for source in sources:
        try:
            image = format.decode(source)
            found.append((format.fit(image), image.shape[:2]))
        except ImageError as error:
            found.append(error)
        except OSError as error:
            found.append(ImageError(str(source), error.strerror or str(error)))
    return found


def keeps_in_memory(cache: str, count: int, shape: tuple[int, ...]) -> bool:
    """Whether so many uint8 arrays of this shape are kept under this `cache`."""
    return cache == "memory" or (cache == "auto" and count * np.prod(shape) <= AUTO_CACHE_BYTES)


def _allocate(count: int, shape: tuple[int, ...], cache: str) -> np.ndarray | None:
    return np.empty((count, *shape), np.uint8) if keeps_in_memory(cache, count, shape) else None


def _describe(sources, index: int, shape: tuple[int, ...]) -> str:
    name = sources[index] if isinstance(sources[index], Path) else f"image {index}"
    return f"{name} has {shape[1]} x {shape[0]}"
