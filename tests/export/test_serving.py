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
from vislearn.tasks import Classification, Detection, Regression, SemanticSegmentation

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
    assert 'output { name: "scores" data_type: TYPE_FP32 dims: [10] }' in text
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


@pytest.mark.slow
def test_the_same_export_gives_the_same_file(tiny, letters, tmp_path):
    for name in ("a", "b"):
        vislearn.export_model(tiny, tmp_path / name, task=letters, formats=["litert"])
    a, b = (describe_files(tmp_path / name)["model.tflite"] for name in ("a", "b"))
    assert a == b
