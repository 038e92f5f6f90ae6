"""TFRecord files of `tf.train.Example`, without TensorFlow.

A record is its length (uint64), the masked CRC-32C of these 8 bytes, the content, and the masked
CRC-32C of it, little-endian.
"""

import functools
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

SKIPPED = 1 << 20  # bytes of a record that is too large, at a time


class RecordError(ValueError):
    """A record that is damaged, or is no example."""


class RecordTooLarge(RecordError):
    """A record of more bytes than are allowed; it was not held in memory."""


def read_records(file: BinaryIO, max_bytes: int) -> Iterator[bytes | RecordError]:
    """The content of each record, or what is wrong with it.

    Where a length is damaged or the file ends too early, nobody knows where the next record starts:
    that is the last.

    Args:
        file: The file.
        max_bytes: Largest record; what is larger is passed over.
    """
    while head := file.read(12):
        if len(head) < 12 or _masked_crc(head[:8]) != struct.unpack("<I", head[8:])[0]:
            yield RecordError("the length of the record is damaged")
            return
        (length,) = struct.unpack("<Q", head[:8])
        if length > max_bytes:
            yield RecordTooLarge(f"a record of {length:,} bytes; the limit is {max_bytes:,}")
            left = length + 4  # and its checksum
            while left and (skipped := file.read(min(left, SKIPPED))):
                left -= len(skipped)
            continue
        content, check = file.read(length), file.read(4)
        if len(content) < length or len(check) < 4:
            yield RecordError("the file ends within the record")
            return
        damaged = _masked_crc(content) != struct.unpack("<I", check)[0]
        yield RecordError("the content has another checksum") if damaged else content


def write_record(file: BinaryIO, content: bytes) -> None:
    """Appends a record."""
    length = struct.pack("<Q", len(content))
    file.write(length + struct.pack("<I", _masked_crc(length)))
    file.write(content)
    file.write(struct.pack("<I", _masked_crc(content)))


def _masked_crc(data: bytes) -> int:
    import google_crc32c

    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def parse_bytes(content: bytes) -> dict[str, bytes]:
    """The features of an example that hold one string of bytes, by name.

    Raises:
        RecordError: If it is no example.
    """
    from google.protobuf.message import DecodeError

    try:
        example = _example().FromString(content)
    except DecodeError as error:
        raise RecordError("the record is no tf.train.Example") from error
    return {
        entry.key: entry.value.bytes_list.value[0]
        for entry in example.features.feature
        if len(entry.value.bytes_list.value) == 1
    }


def encode_example(features: dict[str, Any]) -> bytes:
    """An example of strings of bytes and of arrays, which are written flat."""
    example = _example()()
    for name, value in features.items():
        entry = example.features.feature.add(key=name)
        if isinstance(value, bytes):
            entry.value.bytes_list.value.append(value)
        elif np.issubdtype(value.dtype, np.floating):
            entry.value.float_list.value.extend(value.ravel().tolist())
        else:
            entry.value.int64_list.value.extend(value.ravel().tolist())
    return example.SerializeToString(deterministic=True)


@functools.cache
def _example() -> type:
    """The message class, of the field numbers and types of TensorFlow's example.proto."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    # Of each message the fields: name, number, type, whether repeated. A map is, on the wire, a
    # repeated message of key and value.
    messages = {
        "BytesList": [("value", 1, field.TYPE_BYTES, True)],
        "FloatList": [("value", 1, field.TYPE_FLOAT, True)],
        "Int64List": [("value", 1, field.TYPE_INT64, True)],
        "Feature": [
            ("bytes_list", 1, "BytesList", False),
            ("float_list", 2, "FloatList", False),
            ("int64_list", 3, "Int64List", False),
        ],
        "Entry": [("key", 1, field.TYPE_STRING, False), ("value", 2, "Feature", False)],
        "Features": [("feature", 1, "Entry", True)],
        "Example": [("features", 1, "Features", False)],
    }
    package = "vislearn_batch"
    file = descriptor_pb2.FileDescriptorProto(
        name="vislearn_batch/example.proto", package=package, syntax="proto3"
    )
    for message, fields in messages.items():
        descriptor = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            added = descriptor.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))
