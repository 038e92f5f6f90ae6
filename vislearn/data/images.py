"""From an image file to pixels: the one decoder of training, evaluation and prediction.

Pillow and NumPy only, so that a program which merely runs an exported package decodes exactly as
the training did, without loading Keras or TensorFlow.
"""

import dataclasses
import io
import os
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

Source = str | os.PathLike | bytes | BinaryIO

# A photo of 100 million pixels takes 300 MB when decoded; nothing larger is decoded unasked.
MAX_PIXELS = 100_000_000
RESIZE_MODES = ("crop", "stretch", "pad")
PAD_GREY = 114  # near the mean of photographs
# Names that a search for images goes by; what a file is, its first bytes tell.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")

# The format is told from the first bytes alone. Pillow's classes are called directly: Image.open
# would try every format it knows, and has a pixel limit of its own that can't be set per call.
_FORMATS = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    ("BMP", re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
    ("GIF", re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    ("WebP", re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImagePlugin.WebPImageFile),
)
# What people have instead, so that the error can say more than "unknown".
_OTHERS = (
    (re.compile(rb"II\*\x00|MM\x00\*"), "a TIFF image"),
    (re.compile(rb"....ftyp(heic|heix|mif1|msf1)", re.DOTALL), "a HEIC image"),
    (re.compile(rb"....ftypavif", re.DOTALL), "an AVIF image"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\s*<(\?xml|svg|!DOCTYPE|html)", re.IGNORECASE), "an XML, SVG or HTML text"),
    (re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+\Z"), "a text"),
)
_HEAD = 32  # bytes that are enough to tell any of these

# What Pillow raises for damaged files, besides OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class ImageError(ValueError):
    """A file that can't be used as an image.

    Attributes:
        name: The file, or what stands for it.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason

    def __reduce__(self):
        return type(self), (self.name, self.reason)


class ImageTooLarge(ImageError):
    """An image of more pixels than are allowed; nothing of it was decoded."""


class NotAnImage(ImageError):
    """A file that is something else, or an image of a format that is not read here."""


@dataclasses.dataclass(frozen=True)
class ImageHeader:
    """What a file says about itself before it is decoded.

    Attributes:
        format: `"JPEG"`, `"PNG"`, `"BMP"`, `"GIF"` or `"WebP"`.
        width, height: Size in pixels as displayed, after the EXIF rotation.
        mode: Pillow's name of the pixel type, such as `"RGB"`, `"L"` or `"I;16"`.
    """

    format: str
    width: int
    height: int
    mode: str


def image_header(source: Source, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Reads format, size and pixel type of an image without decoding it.

    Args:
        source: A path, the bytes of a file, or a file object.
        max_pixels: Largest width times height.

    Raises:
        ImageError: If it is no JPEG, PNG, BMP, GIF or WebP image, or has more pixels.
        OSError: If the file can't be read.
    """
    name, data = _read(source)
    try:
        format, image = _open(name, data, max_pixels)
        # Of the base class: that of PNG decodes the pixels, to find EXIF data that come after them.
        turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(name, f"damaged image ({error})") from error
    width, height = image.size[::-1] if turned else image.size
    return ImageHeader(format, width, height, image.mode)


def read_image(
    source: Source, *, channels: int | None = 3, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decodes an image: upright, 8 bits, on white.

    The EXIF rotation is applied. What is transparent is composited on white. 16-bit grey is scaled
    to 8 bits, CMYK converted to RGB. Of an animation the first frame is taken.

    Args:
        source: A path, the bytes of a file, or a file object.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma), None for 1 where the file is grey and 3
            where it is not. A palette image is grey where its palette is.
        max_pixels: Largest width times height that is decoded.

    Returns:
        `(height, width, channels)` uint8.

    Raises:
        ValueError: If `channels` is neither of these.
        ImageError: If it is no JPEG, PNG, BMP, GIF or WebP image, has too many pixels, or is
            truncated or otherwise damaged.
        OSError: If the file can't be read.
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"channels={channels!r} must be 1, 3 or None.")
    name, data = _read(source)
    try:
        _, image = _open(name, data, max_pixels)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        image = _on_white(image)
        mode = {None: image.mode, 1: "L", 3: "RGB"}[channels]
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(name, f"damaged image ({error})") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]


def read_mask(source: Source, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes an image whose values are numbers or colours of classes, not brightness.

    Args:
        source: A path, the bytes of a file, or a file object.
        max_pixels: Largest width times height that is decoded.

    Returns:
        `(height, width)` uint8 of the values of a grey image or the palette numbers of one with a
        palette, `(height, width, 3)` uint8 for colours.

    Raises:
        ImageError: As `read_image`, or if it has 16 bits a pixel or transparency.
        OSError: If the file can't be read.
    """
    name, data = _read(source)
    try:
        _, image = _open(name, data, max_pixels)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode not in ("1", "L", "P", "RGB"):
            raise ImageError(
                name, f"a mask has 8-bit numbers or RGB colours; this one is {image.mode}"
            )
        return np.asarray(image).astype(np.uint8)
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(name, f"damaged image ({error})") from error


@dataclasses.dataclass(frozen=True)
class Fit:
    """How an image is brought to a size: which part of it fills which part of the result.

    Attributes:
        size: `(height, width)` of the result.
        box: `(left, top, right, bottom)` of the part that is taken, in pixels of the image.
        inner: `(height, width)` of what it fills, from the upper left corner on.
    """

    size: tuple[int, int]
    box: tuple[float, float, float, float]
    inner: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Factors of x and y."""
        left, top, right, bottom = self.box
        return self.inner[1] / (right - left), self.inner[0] / (bottom - top)

    @property
    def shift(self) -> tuple[float, float]:
        """What is added to x and y after the scaling."""
        return -self.box[0] * self.scale[0], -self.box[1] * self.scale[1]

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Moves points `(..., 2)` with the image."""
        return xy * np.float64(self.scale) + np.float64(self.shift)

    def boxes_back(self, boxes: np.ndarray, own: tuple[int, int]) -> np.ndarray:
        """Boxes `(n, 4)`, x1, y1, x2, y2, of the result in pixels of the image.

        Args:
            boxes: What was found in the result.
            own: `(height, width)` of the image, where boxes are cut off.
        """
        corners = (boxes.reshape(-1, 2, 2) - np.float64(self.shift)) / np.float64(self.scale)
        return corners.clip(0, own[::-1]).reshape(-1, 4)

    def mask(self, mask: np.ndarray, fill=0) -> np.ndarray:
        """Moves values that can't be mixed, `(height, width)`, with the image: the nearest."""
        rows, columns = (
            ((np.arange(self.inner[axis]) + 0.5) / self.scale[1 - axis] + self.box[1 - axis])
            .astype(int)
            .clip(0, mask.shape[axis] - 1)
            for axis in (0, 1)
        )
        moved = np.full(self.size, fill, mask.dtype)
        moved[: self.inner[0], : self.inner[1]] = mask[rows[:, np.newaxis], columns]
        return moved


def plan_fit(own: tuple[int, int], size: tuple[int, int], mode: str = "crop") -> Fit:
    """How an image of one `(height, width)` is brought to another; see `fit_image`."""
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize mode={mode!r} must be one of {RESIZE_MODES}.")
    (own_height, own_width), (height, width) = own, size
    box, inner = (0.0, 0.0, float(own_width), float(own_height)), size
    if own == size:
        return Fit(size, box, inner)
    if mode == "crop":
        # Cropping before scaling is the same picture, and never makes a huge one of a thin strip.
        scale = min(own_height / height, own_width / width)
        # The side that is kept whole may come out a rounding error longer than it is.
        left = max((own_width - width * scale) / 2, 0.0)
        top = max((own_height - height * scale) / 2, 0.0)
        box = (left, top, own_width - left, own_height - top)
    elif mode == "pad":
        scale = min(height / own_height, width / own_width)
        inner = max(round(own_height * scale), 1), max(round(own_width * scale), 1)
    return Fit(size, box, inner)


def fit_image(image: np.ndarray, size: int | tuple[int, int], mode: str = "crop") -> np.ndarray:
    """Brings an image to a size, with Pillow's bilinear filter (antialiased).

    Args:
        image: `(height, width, channels)` uint8 of 1 or 3 channels.
        size: Side in pixels, or `(height, width)`.
        mode: `"crop"` scales until the size is just covered, keeping proportions, and takes the
            centre; `"stretch"` scales height and width apart; `"pad"` scales until all of it fits,
            keeping proportions, and fills with grey (114) at the right or at the bottom.

    Returns:
        `(*size, channels)` uint8; the image itself where it has that size already.

    Raises:
        ValueError: If an argument is none of these.
    """
    size = checked_size(size)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(
            f"image has type {image.dtype} and shape {image.shape}; "
            "it must be uint8 of shape (height, width, 1 or 3)."
        )
    fit = plan_fit(image.shape[:2], size, mode)
    if image.shape[:2] == size:
        return image
    channels = image.shape[2]
    picture = Image.fromarray(image if channels == 3 else image[:, :, 0])
    height, width = fit.inner
    fitted = picture.resize((width, height), Image.Resampling.BILINEAR, box=fit.box)
    fitted = np.asarray(fitted).reshape(height, width, channels)
    if fit.inner == size:
        return fitted
    padded = np.full((*size, channels), PAD_GREY, np.uint8)
    padded[:height, :width] = fitted
    return padded


def checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """`(height, width)` from a side or from a pair.

    Raises:
        ValueError: If it is neither, or not positive.
    """
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(
        isinstance(side, int | np.integer) and not isinstance(side, bool) and side > 0
        for side in pair
    ):
        raise ValueError(
            f"image size {size!r} must be a positive integer or a pair (height, width)."
        )
    return int(pair[0]), int(pair[1])


def _read(source: Source) -> tuple[str, bytes]:
    """A name for messages, and the bytes of the file."""
    if isinstance(source, bytes):
        return "image", source
    if isinstance(source, str | os.PathLike):
        return os.fspath(source), Path(source).read_bytes()
    return str(getattr(source, "name", "image")), source.read()


def _open(name: str, data: bytes, max_pixels: int) -> tuple[str, Image.Image]:
    """Checks format and size from the header; the pixels are decoded by `load`."""
    head = data[:_HEAD]
    format, plugin = _format_of(name, head)
    if format == "WebP":  # Pillow's class takes memory for the whole picture when it is made.
        _check_pixels(name, _webp_size(head), max_pixels)
    image = plugin(io.BytesIO(data))
    _check_pixels(name, image.size, max_pixels)
    return format, image


def _check_pixels(name: str, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageTooLarge(
            name, f"{width} x {height} pixels are more than the limit of {max_pixels:,}"
        )


def _webp_size(head: bytes) -> tuple[int, int]:
    """`(width, height)` from the first 30 bytes of a WebP file (RFC 9649, sections 2.5 to 2.7)."""
    kind = head[12:16]
    if kind == b"VP8X":  # extended: 24 bits each, less one
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":  # lossless: 14 bits each, less one
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    # lossy: 14 bits of 16 each
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF


def _format_of(name: str, head: bytes) -> tuple[str, type]:
    for format, magic, plugin in _FORMATS:
        if magic.match(head):
            return format, plugin
    raise NotAnImage(name, f"found {_describe(head)}, not a JPEG, PNG, BMP, GIF or WebP image")


def _describe(head: bytes) -> str:
    if not head:
        return "an empty file"
    for magic, words in _OTHERS:
        if magic.match(head):
            return words
    return f"unknown content ({head[:8].hex(' ')})"


def _on_white(image: Image.Image) -> Image.Image:
    """The same picture in mode L where it is grey, in RGB where it is not."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image  # Nearly always.
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255. 65535 / 255 = 257, rounded to nearest.
        values = np.asarray(image).astype(np.uint32)
        values[values == image.info.get("transparency", -1)] = 65535
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA", "La") or (image.mode == "P" and _grey_palette(image))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("L" if grey else "RGB")


def _grey_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())
