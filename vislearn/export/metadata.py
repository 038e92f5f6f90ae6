"""`TFLITE_METADATA`: what readers of TensorFlow Lite's metadata format find in a `.tflite` file.

A flatbuffer of its own schema (metadata_schema.fbs of tflite-support, which is no longer developed)
in a buffer of the model: names and descriptions of the model, its inputs and outputs, that pixels
are taken as they are, ranges, and which output `labels.txt` is about. The tables are written slot
by slot, as the schema numbers their fields; a union takes two slots, its type and its table.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vislearn.export.package import LABELS
from vislearn.export.runtimes import IMAGE, SIGNATURE

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
_FEATURE, _IMAGE, _BOXES = 1, 2, 3  # of the union ContentProperties
_NORMALIZATION = 1  # of the union ProcessUnitOptions
_RGB, _GREY = 1, 2  # ColorSpaceType
_AXIS_LABELS, _VALUE_LABELS = 2, 3  # AssociatedFileType
_BOUNDARIES, _PIXEL = 1, 1  # BoundingBoxType, CoordinateType


def with_metadata(content: bytes, about: dict[str, Any]) -> bytes:
    """The content of a `.tflite` file with the metadata in it.

    Args:
        content: The file as it was converted.
        about: What `model.json` says of the model.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    (signature,) = (
        found for found in model.signatureDefs if found.signatureKey.decode() == SIGNATURE
    )
    graph = model.subgraphs[signature.subgraphIndex]
    # Tensors are told in the order of the graph, which is not that of the signature.
    sides = []
    for kind in ("inputs", "outputs"):
        names = {pair.tensorIndex: pair.name.decode() for pair in getattr(signature, kind)}
        items = {item["name"]: item for item in about[kind]}
        sides.append([items[names[index]] for index in getattr(graph, kind)])
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(_metadata(about, *sides), np.uint8)
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]

    class Aligned(flatbuffers.Builder):
        """Sets weights at multiples of 16 bytes, as the schema wants it of them."""

        def CreateNumpyVector(self, x):
            self.Prep(16, x.nbytes)
            return super().CreateNumpyVector(x)

    builder = Aligned(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _metadata(about: dict[str, Any], inputs: list[dict], outputs: list[dict]) -> bytes:
    """The root table, ModelMetadata."""
    writer = _Writer()
    tensors = [
        writer.tables([_tensor(writer, item, about["task"]) for item in side])
        for side in (inputs, outputs)
    ]
    graph = writer.table({0: writer.text(about["signature"]), 2: tensors[0], 3: tensors[1]})
    what = f"{about['task'].replace('_', ' ')}, {about['signature']}"
    texts = {0: writer.text(about["name"]), 1: writer.text(what), 7: writer.text("1.0.0")}
    return writer.finished(writer.table({**texts, 3: writer.tables([graph])}))


def _tensor(writer: "_Writer", item: dict[str, Any], task: str) -> int:
    """TensorMetadata of an input or output as `model.json` has it."""
    unit = f"; {item['unit']}" if item["unit"] else ""
    fields = {0: writer.text(item["name"]), 1: writer.text(item["meaning"] + unit)}
    fields[3] = _content(writer, item)
    if item["name"] == IMAGE and item["dtype"] == "uint8":
        options = writer.table({0: writer.numbers([0]), 1: writer.numbers([1])})  # mean, std
        fields[4] = writer.tables([writer.table({1: options}, bytes_={0: _NORMALIZATION})])
    if item["range"] is not None:
        low, high = item["range"]
        fields[5] = writer.table({0: writer.numbers([high]), 1: writer.numbers([low])})
    kind = _labels(item, task)
    if kind is not None:
        file = writer.table({0: writer.text(LABELS)}, bytes_={2: kind})
        fields[6] = writer.tables([file])
    return writer.table(fields)


def _labels(item: dict[str, Any], task: str) -> int | None:
    """What `labels.txt` is to a tensor: names of its places, of its values, or nothing."""
    if item["unit"] == "class number":
        return _VALUE_LABELS
    along_axis = {("classification", "scores"), ("regression", "values")}
    return _AXIS_LABELS if (task, item["name"]) in along_axis else None


def _content(writer: "_Writer", item: dict[str, Any]) -> int:
    if item["unit"] == "pixel level":
        height, width, channels = item["shape"][1:]
        size = writer.table({}, integers={0: width, 1: height})
        colours = {0: _RGB if channels == 3 else _GREY if channels == 1 else 0}
        return writer.table({1: writer.table({1: size}, bytes_=colours)}, bytes_={0: _IMAGE})
    if item["name"] == "boxes":
        boxes = writer.table({}, bytes_={1: _BOUNDARIES, 2: _PIXEL})
        last = writer.table({}, integers={0: 2, 1: 2})  # A box lies along the third axis.
        return writer.table({1: boxes, 2: last}, bytes_={0: _BOXES})
    return writer.table({1: writer.table({})}, bytes_={0: _FEATURE})


class _Writer:
    """Tables of a flatbuffer by the numbers of their slots."""

    def __init__(self):
        import flatbuffers

        self._builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return self._builder.CreateString(value)

    def numbers(self, values: Sequence[float]) -> int:
        return self._builder.CreateNumpyVector(np.array(values, np.float32))

    def tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return self._builder.EndVector()

    def table(self, offsets: dict[int, int], *, bytes_=(), integers=()) -> int:
        """A table of what was written before, by slot, and of numbers of one or four bytes."""
        bytes_, integers = dict(bytes_), dict(integers)
        self._builder.StartObject(1 + max([*offsets, *bytes_, *integers], default=-1))
        for slot, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, value in integers.items():
            self._builder.PrependUint32Slot(slot, value, 0)
        for slot, value in bytes_.items():
            self._builder.PrependUint8Slot(slot, value, 0)
        return self._builder.EndObject()

    def finished(self, root: int) -> bytes:
        self._builder.Finish(root, IDENTIFIER)
        return bytes(self._builder.Output())
