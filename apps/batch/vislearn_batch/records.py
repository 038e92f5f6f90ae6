"""Where images come from: image files, and TFRecord files of encoded images."""

import contextlib
import gzip
import itertools
import lzma
import os
import re
import time
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from vislearn.data.images import SUFFIXES
from vislearn_batch import tfrecord

# What an encoded image is called in records: in TensorFlow's object detection, and in TFDS.
IMAGE_FEATURES = ("image/encoded", "image")
# A record may hold so many bytes besides its image.
RECORD_ROOM = 1 << 20
# What can be wrong with a record, or with what the network makes of it.
UNREADABLE, TOO_LARGE, WRONG_TYPE, FAILED = KINDS = (
    "unreadable",
    "too_large",
    "wrong_type",
    "failed",
)

# A file that fails is read again after so many seconds: a remote one may fail for a moment.
PAUSES = (1.0, 4.0)
# Errors that another attempt does not mend: damaged compression, and what is not there.
LASTING = (
    *(zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile),
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError),
)


class Refused(ValueError):
    """A record that can't be answered.

    Attributes:
        kind: One of `KINDS`.
        reason: What is wrong with it, in words.
    """

    def __init__(self, kind: str, reason: str):
        super().__init__(f"{kind}: {reason}")
        self.kind, self.reason = kind, reason


def list_inputs(patterns: list[str]) -> list[str]:
    """The files that are named, sorted, each once.

    Args:
        patterns: Files, patterns with `*` and `**`, and folders, which are searched for images.

    Raises:
        ValueError: If one matches nothing; if a name holds a line break or is no UTF-8; if image
            files and TFRecord files are mixed.
    """
    found = set()
    for pattern in patterns:
        if set("*?[") & set(pattern):
            paths = _match(pattern)
        else:
            inside = _match(FileSystems.join(pattern, "**"))
            paths = [path for path in inside if path.lower().endswith(SUFFIXES)]
            if not paths and (inside or os.path.isdir(pattern)):
                raise ValueError(f"--input {pattern!r} holds no image: {', '.join(SUFFIXES)}.")
        if not paths and FileSystems.exists(pattern):  # A file, perhaps photo[1].jpg.
            paths = [pattern]
        if not paths:
            raise ValueError(f"--input {pattern!r} matches no file.")
        found.update(paths)
    for path in found:
        if "\n" in path or path != path.encode(errors="replace").decode():
            raise ValueError(f"--input: {path!r} has a line break in its name, or is no UTF-8.")
    if len({is_tfrecord(path) for path in found}) > 1:
        raise ValueError("--input names image files and TFRecord files: give each its own run.")
    return sorted(found)


def _match(pattern: str) -> list[str]:
    # Beam lists the folder that is named before the first wildcard, and nothing where none is.
    here = "" if "/" in re.split(r"[*?[]", pattern)[0] else "./"
    found = FileSystems.match([here + pattern])[0].metadata_list
    return [item.path.removeprefix(here) for item in found]


def is_tfrecord(path: str) -> bool:
    """Whether a file holds records, by its name: `a.tfrecord`, `a.tfrecord-00001-of-00008`."""
    return ".tfrecord" in path.rsplit("/", 1)[-1]


def read_images(path: str, max_bytes: int) -> Iterator[tuple[str, bytes | Refused]]:
    """The encoded images of a file, each with its id, or why there is none.

    The id of an image file is its path; that of a record the path, `#` and its number from 0. Where
    a file can't be read on, that is the last.

    Args:
        path: An image file or a TFRecord file.
        max_bytes: Largest encoded image; of a larger file no more than this is read.
    """
    number = 0
    for pause in (*PAUSES, None):
        try:
            for content in itertools.islice(_contents(path, max_bytes), number, None):
                yield _id(path, number), content
                number += 1
            return
        except (OSError, *LASTING) as error:  # Beam's errors of remote files are OSErrors, too.
            if pause is None or isinstance(error, LASTING):
                reason = getattr(error, "strerror", None) or str(error)
                yield _id(path, number), Refused(UNREADABLE, reason)
                return
        time.sleep(pause)


def _id(path: str, number: int) -> str:
    return f"{path}#{number}" if is_tfrecord(path) else path


def _contents(path: str, max_bytes: int) -> Iterator[bytes | Refused]:
    """The encoded images of a file in their order, or why there is none."""
    if is_tfrecord(path):
        with _open_records(path) as file:
            for record in tfrecord.read_records(file, max_bytes + RECORD_ROOM):
                yield _limited(_image_of(record), max_bytes)
    else:
        with FileSystems.open(path) as file:
            content = file.read(max_bytes + 1)
        yield _limited(content, max_bytes)


@contextlib.contextmanager
def _open_records(path: str) -> Iterator[BinaryIO]:
    if not path.lower().endswith(".gz"):
        with FileSystems.open(path) as file:
            yield file
        return
    # Beam would decompress it, too, but gives nothing of the 16 MB in which a byte is damaged, and
    # takes a file that is cut off for a whole one.
    with (
        FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file,
        gzip.open(file) as records,
    ):
        yield records


def _limited(content: bytes | Refused, max_bytes: int) -> bytes | Refused:
    if isinstance(content, bytes) and len(content) > max_bytes:
        return Refused(TOO_LARGE, f"more bytes than the limit of {max_bytes:,}")
    return content


def _image_of(record: bytes | tfrecord.RecordError) -> bytes | Refused:
    """The encoded image of an example."""
    if isinstance(record, tfrecord.RecordTooLarge):
        return Refused(TOO_LARGE, str(record))
    if isinstance(record, tfrecord.RecordError):
        return Refused(UNREADABLE, str(record))
    try:
        features = tfrecord.parse_bytes(record)
    except tfrecord.RecordError as error:
        return Refused(WRONG_TYPE, str(error))
    for name in IMAGE_FEATURES:
        if name in features:
            return features[name]
    return Refused(WRONG_TYPE, f"the example has none of the features {', '.join(IMAGE_FEATURES)}")
