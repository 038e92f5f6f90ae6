"""Where images come from: image files, and TFRecord files of encoded images."""

from collections.abc import Iterator

from apache_beam.io.filesystems import FileSystems

from vislearn.data.images import SUFFIXES
from vislearn_batch import tfrecord

# What an encoded image is called in records: in TensorFlow's object detection, and in TFDS.
IMAGE_FEATURES = ("image/encoded", "image")
# What can be wrong with a record.
UNREADABLE, TOO_LARGE, WRONG_TYPE = KINDS = ("unreadable", "too_large", "wrong_type")


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
            if inside and not paths:
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
    return [item.path for item in FileSystems.match([pattern])[0].metadata_list]


def is_tfrecord(path: str) -> bool:
    """Whether a file holds records, by its name: `a.tfrecord`, `a.tfrecord-00001-of-00008`."""
    return ".tfrecord" in path.rsplit("/", 1)[-1]


def read_images(path: str, max_bytes: int) -> Iterator[tuple[str, bytes | Refused]]:
    """The encoded images of a file, each with its id, or why there is none.

    The id of an image file is its path; that of a record the path, `#` and its number from 0.

    Args:
        path: An image file or a TFRecord file.
        max_bytes: Largest encoded image; of a larger file no more than this is read.
    """
    try:
        with FileSystems.open(path) as file:
            if is_tfrecord(path):
                for number, record in enumerate(tfrecord.read_records(file)):
                    yield f"{path}#{number}", _limited(_image_of(record), max_bytes)
            else:
                yield path, _limited(file.read(max_bytes + 1), max_bytes)
    except OSError as error:  # Beam's errors of remote file systems are OSErrors, too.
        yield path, Refused(UNREADABLE, error.strerror or str(error))


def _limited(content: bytes | Refused, max_bytes: int) -> bytes | Refused:
    if isinstance(content, bytes) and len(content) > max_bytes:
        return Refused(TOO_LARGE, f"more bytes than the limit of {max_bytes:,}")
    return content


def _image_of(record: bytes | tfrecord.RecordError) -> bytes | Refused:
    """The encoded image of an example."""
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
