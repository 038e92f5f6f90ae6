"""What servers and readers of a single file find: named signatures, warm-up, settings, labels."""

import io
import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import vislearn
from vislearn.export import FORMATS, read_manifest
from vislearn.export.package import describe_files
from vislearn.export.serving import WARM_UP_FILE, write_warm_up
from vislearn.export.tensors import describe_inputs, describe_outputs
from vislearn.tasks import (
    Classification,
    Detection,
    Regression,
    SemanticSegmentation,
    get_task,
)

pytestmark = pytest.mark.tensorflow


@pytest.mark.slow
def test_saved_model_cli_runs_the_named_signature(exported, trained, digits, tmp_path):
    np.save(tmp_path / "images.npy", digits[0][:3])
    arguments = {
        "dir": exported[0] / FORMATS["savedmodel"],
        "tag_set": "serve",
        "signature_def": "classify",
        "inputs": f"image={tmp_path / 'images.npy'}",
        "outdir": tmp_path,
    }
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", *flags]
    subprocess.run(command, check=True, capture_output=True)
    logits = trained.predict(digits[0][:3].astype("float32"), verbose=0).astype("float64")
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores = powers / powers.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), scores, atol=1e-5)
    assert np.load(tmp_path / "class_id.npy").tolist() == scores.argmax(axis=-1).tolist()


def test_the_manifest_names_the_signatures(exported):
    assert read_manifest(exported[0])["savedmodel_signatures"] == ["serving_default", "classify"]


def test_every_task_has_its_verb():
    tasks = (Classification, Detection, SemanticSegmentation, Regression)
    assert [task.verb for task in tasks] == ["classify", "detect", "segment", "estimate"]


def test_the_warm_up_is_what_tensorflow_serving_reads(tmp_path):
    """The bytes are those of tensorflow-serving-api 2.21 for the same request."""
    import tensorflow as tf

    write_warm_up(tmp_path, "m", {"image": np.full((1, 2, 2, 1), 200, np.uint8)})
    (record,) = tf.data.TFRecordDataset(str(tmp_path / WARM_UP_FILE)).as_numpy_iterator()
    assert record.hex() == (
        "323d0a3b0a140a016d1a0f73657276696e675f64656661756c74"
        "12230a05696d616765121a08041210120208011202080212020802120208012204c8c8c8c8"
    )


def test_a_message_may_be_long(tmp_path):
    """Lengths above 127 take several bytes, of seven bits each."""
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

    image = np.arange(5000, dtype=np.uint8).reshape(1, 50, 100, 1)
    write_warm_up(tmp_path, "m", {"image": image})
    (record,) = tf.data.TFRecordDataset(str(tmp_path / WARM_UP_FILE)).as_numpy_iterator()
    tensor = tensor_pb2.TensorProto.FromString(record[-tf.make_tensor_proto(image).ByteSize() :])
    np.testing.assert_array_equal(tf.make_ndarray(tensor), image)


def test_settings_of_servers(exported):
    text = (exported[0] / "serving" / "batching.config").read_text()
    sizes = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    assert sizes == sorted(sizes)
    # TensorFlow Serving does not start if the last of them is not the largest batch.
    assert re.search(r"max_batch_size \{ value: (\d+) \}", text)[1] == str(sizes[-1])
    text = (exported[0] / "serving" / "triton" / "config.pbtxt").read_text()
    assert 'input { name: "image" data_type: TYPE_UINT8 dims: [8, 8, 1] }' in text
    scores = '{ name: "scores" data_type: TYPE_FP32 dims: [10] label_filename: "labels.txt" }'
    assert f"output {scores}" in text
    assert "dims: [1] reshape { shape: [ ] } }" in text


def test_a_package_has_the_settings_of_its_formats(tiny, letters, tmp_path):
    vislearn.export_model(tiny, tmp_path / "p", task=letters, formats=["onnx"], batch=2)
    assert [path.name for path in (tmp_path / "p" / "serving").iterdir()] == ["triton"]
    text = (tmp_path / "p" / "serving" / "triton" / "config.pbtxt").read_text()
    assert "max_batch_size: 0" in text
    assert "dims: [2, 16, 16, 3]" in text
    assert "dynamic_batching" not in text


def test_a_litert_file_carries_labels_and_inputs(exported):
    manifest = read_manifest(exported[0])
    for format in (format for format in FORMATS if format.startswith("litert")):
        content = (exported[0] / FORMATS[format]).read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            labels = archive.read("labels.txt").decode()
            about = json.loads(archive.read("model.json"))
        assert labels == (exported[0] / "labels.txt").read_text()
        assert about["inputs"] == manifest["inputs"]
        assert about["outputs"] == manifest["outputs"]


class Fields:
    """A table of a flatbuffer, read by the numbers of its slots."""

    def __init__(self, content, position=None):
        from flatbuffers import encode, number_types, table

        flags = number_types.UOffsetTFlags.packer_type
        start = encode.Get(flags, content, 0) if position is None else position
        self._table, self._flags = table.Table(content, start), number_types

    def _place(self, slot):
        offset = self._table.Offset(4 + 2 * slot)
        assert offset, f"slot {slot} is empty"
        return self._table.Pos + offset

    def text(self, slot):
        return self._table.String(self._place(slot)).decode()

    def byte(self, slot):
        return self._table.Get(self._flags.Uint8Flags, self._place(slot))

    def table(self, slot):
        return Fields(self._table.Bytes, self._table.Indirect(self._place(slot)))

    def tables(self, slot):
        offset = self._place(slot) - self._table.Pos
        first, count = self._table.Vector(offset), self._table.VectorLen(offset)
        return [
            Fields(self._table.Bytes, self._table.Indirect(first + 4 * number))
            for number in range(count)
        ]

    def numbers(self, slot):
        return self._table.GetVectorAsNumpy(
            self._flags.Float32Flags, self._place(slot) - self._table.Pos
        ).tolist()


def test_a_litert_file_holds_the_metadata_of_tensorflow_lite(exported):
    """Read by the numbers that metadata_schema.fbs of tflite-support gives the fields."""
    from ai_edge_litert import schema_py_generated as schema

    manifest = read_manifest(exported[0])
    for format in ("litert", "litert_int8"):
        content = (exported[0] / FORMATS[format]).read_bytes()
        model = schema.Model.GetRootAsModel(content, 0)
        entries = [model.Metadata(number) for number in range(model.MetadataLength())]
        (entry,) = (entry for entry in entries if entry.Name() == b"TFLITE_METADATA")
        metadata = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
        assert metadata[4:8] == b"M001"
        root = Fields(metadata)
        assert root.text(0) == manifest["name"]
        (graph,) = root.tables(3)
        (image,), outputs = graph.tables(2), graph.tables(3)
        assert image.text(0) == "image"
        assert image.text(1) == f"{manifest['inputs'][0]['meaning']}; pixel level"
        assert image.table(3).byte(0) == 2  # ImageProperties
        assert image.table(3).table(1).byte(0) == 2  # grey
        (unit,) = image.tables(4)
        assert unit.byte(0) == 1  # NormalizationOptions
        assert (unit.table(1).numbers(0), unit.table(1).numbers(1)) == ([0], [1])
        assert (image.table(5).numbers(0), image.table(5).numbers(1)) == ([255], [0])
        # Outputs come in the order of the graph.
        graph = model.Subgraphs(0)
        shapes = [graph.Tensors(graph.Outputs(n)).ShapeLength() for n in range(2)]
        assert [len({"scores": "ab", "class_id": "a"}[out.text(0)]) for out in outputs] == shapes
        kinds = {out.text(0): out.tables(6)[0] for out in outputs}
        assert {name: file.byte(2) for name, file in kinds.items()} == {"scores": 2, "class_id": 3}
        assert kinds["scores"].text(0) == "labels.txt"


def test_weights_lie_where_the_schema_wants_them(exported):
    from ai_edge_litert import schema_py_generated as schema

    content = np.fromfile(exported[0] / FORMATS["litert_int8"], np.uint8)
    model = schema.Model.GetRootAsModel(content, 0)
    buffers = (model.Buffers(number) for number in range(model.BuffersLength()))
    places = [
        buffer.DataAsNumpy().ctypes.data - content.ctypes.data
        for buffer in buffers
        if not buffer.DataIsNone()
    ]
    assert len(places) > 10
    assert {place % 16 for place in places} == {0}


QUANTITIES = {
    "resnet20_cifar": {"scores": ([0, 1], "probability"), "class_id": ([0, 4], "class number")},
    "deep_phurie": {"values": (None, "unit of the training targets")},
    "retinanet": {
        "boxes": ([0, 64], "pixels"),
        "scores": ([0, 1], "score"),
        "classes": ([-1, 2], "class number"),
        "count": ([0, 100], "detections"),
    },
    "unet": {"mask": ([0, 1], "class number"), "confidence": ([0, 1], "probability")},
    "dcgan": {"image": ([0, 255], "pixel level")},
    "vae": {
        "mean": (None, "standard deviations"),
        "log_variance": (None, "logarithm of squared standard deviations"),
    },
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_outputs_have_ranges_and_units(name):
    info = vislearn.model_info(name)
    model = vislearn.create_model(name, **info.tiny)
    classes = [f"class {number}" for number in range(info.tiny["num_classes"])]
    task = get_task(info.task, classes, info.family)
    signature = task.signatures(model)[0]
    shapes = {
        name: ((None, 100, 4)[: 3 if name == "boxes" else 1], "float32")
        for name in QUANTITIES[name]
    }
    found = describe_outputs(signature, shapes)
    assert {item["name"]: (item["range"], item["unit"]) for item in found} == QUANTITIES[name]


def test_what_is_no_picture_has_its_unit_too():
    info = vislearn.model_info("conditional_ddpm")
    task = get_task(info.task, ("a", "b", "c"), info.family)
    sampler, denoise = task.signatures(vislearn.create_model("conditional_ddpm", **info.tiny))
    found = {
        item["name"]: (item["range"], item["unit"])
        for signature in (denoise, sampler)
        for item in describe_inputs(signature)
    }
    assert found == {
        "noise": (None, "standard deviations"),
        "label": ([0, 3], "class number"),
        "time": ([1, 1000], "step of the noise schedule"),
        "image": (None, "pixel level, scaled to -1..1, with noise"),
    }


@pytest.mark.slow
def test_the_same_export_gives_the_same_file(tiny, letters, tmp_path):
    for name in ("a", "b"):
        vislearn.export_model(tiny, tmp_path / name, task=letters, formats=["litert"])
    a, b = (describe_files(tmp_path / name)["model.tflite"] for name in ("a", "b"))
    assert a == b
