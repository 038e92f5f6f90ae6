"""What the program for devices reads from stdin: images that follow each other, some damaged."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image


def encoded(width: int, height: int, seed: int, format: str, **options) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


JPEG, OTHER_JPEG = encoded(20, 30, 1, "JPEG"), encoded(8, 8, 2, "JPEG")
PNG, OTHER_PNG = encoded(30, 20, 3, "PNG"), encoded(5, 5, 4, "PNG")
PROGRESSIVE = encoded(20, 30, 5, "JPEG", progressive=True)
RESTARTED = encoded(40, 30, 6, "JPEG", restart_marker_blocks=2)


def photo_with_thumbnail() -> bytes:
    """A JPEG with a JPEG inside, whose end is not the end, and with fill bytes."""
    segment = b"\xff\xe4" + (len(OTHER_JPEG) + 2).to_bytes(2) + OTHER_JPEG
    return JPEG[:2] + segment + b"\xff\xff" + JPEG[2:]


def read(edge, content: bytes, buffer_size: int = 64) -> list[bytes | ValueError]:
    """What the program takes out of a stream; small buffers, as that of a pipe, cut everywhere."""
    stream = io.BufferedReader(io.BytesIO(content), buffer_size=buffer_size)
    names, found = zip(*edge.from_stream(stream), strict=True)
    assert list(names) == [f"stdin image {index}" for index in range(len(names))]
    return list(found)


def test_stream_is_split_where_images_end(edge):
    images = [photo_with_thumbnail(), PNG, PROGRESSIVE, RESTARTED, OTHER_PNG]
    for buffer_size in (16, 1000, 1 << 20):
        assert read(edge, b"".join(images), buffer_size) == images


def lost(found: list) -> list:
    """The same with the words of the errors."""
    return [str(one) if isinstance(one, ValueError) else one for one in found]


@pytest.mark.parametrize("follows", [OTHER_JPEG, PROGRESSIVE, PNG], ids=["JPEG", "progr", "PNG"])
@pytest.mark.parametrize(
    "image", [JPEG, PROGRESSIVE, RESTARTED, PNG], ids=["JPEG", "progr", "restart", "PNG"]
)
def test_one_that_is_cut_off_swallows_none(image, follows, edge):
    for cut in [*range(1, 700, 3), *range(700, len(image), 37), len(image) - 2, len(image) - 1]:
        first, error, *rest = read(edge, PNG + image[:cut] + follows + image + follows)
        assert isinstance(error, ValueError), cut
        assert [first, *rest] == [PNG, follows, image, follows], cut


def test_the_last_one_is_cut_off(edge):
    for image in (JPEG, PNG):
        assert lost(read(edge, PNG + image[:-30])) == [
            PNG,
            "the stream ends before the image does.",
        ]


@pytest.mark.parametrize(
    "place", [8, 12, 16, 60, -6], ids=["length", "type", "size", "pixels", "crc"]
)
def test_a_damaged_png_is_told(place, edge):
    damaged = bytearray(PNG)
    damaged[place] ^= 0xF0
    first, error, *rest = read(edge, JPEG + damaged + PNG + JPEG)
    assert isinstance(error, ValueError)
    assert [first, *rest] == [JPEG, PNG, JPEG]


def test_a_length_that_lies_takes_no_memory(edge):
    damaged = PNG[:8] + b"\xf0\0\0\0" + PNG[12:]
    error = f"the image has more than {edge.MAX_BYTES:,} bytes."
    assert lost(read(edge, damaged + JPEG)) == [error, JPEG]


class Endless(io.RawIOBase):
    """An image that does not end for a long time, and what follows it."""

    def __init__(self, start: bytes, blocks: int, end: bytes):
        self.parts = iter([start, *[bytes(1 << 16)] * blocks, end])

    def readable(self):
        return True

    def readinto(self, buffer):
        part = next(self.parts, b"")
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("start", [JPEG[:-2], b"RIFF", b"\xff\xd8" + b"\xff" * 20_000])
def test_what_does_not_end_is_not_kept(start, edge, monkeypatch):
    monkeypatch.setattr(edge, "MAX_BYTES", 300_000)
    stream = io.BufferedReader(Endless(start, 100, JPEG), buffer_size=1 << 16)
    tracemalloc.start()
    (_, error), (_, image) = edge.from_stream(stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, ValueError)
    assert image == JPEG
    assert peak < 2_000_000  # of 6.5 MB that came


def test_what_is_no_image_is_passed_over(edge):
    words = "it starts with 4749463839610000: no JPEG and no PNG."
    assert lost(read(edge, PNG + b"GIF89a" + bytes(100) + JPEG)) == [PNG, words, JPEG]
