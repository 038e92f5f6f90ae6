"""Running packages: answers, what is loaded for them, and damaged or foreign folders."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

import vislearn
from vislearn.export import (
    FORMATS,
    PackageError,
    inspect_package,
    load_predictor,
    read_manifest,
)

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of the package that a test may damage."""
    return shutil.copytree(exported[0], tmp_path / "copy")


def test_what_a_predictor_knows(exported, task):
    predictor = vislearn.load_predictor(exported[0])
    assert predictor.classes == task.classes
    assert predictor.input_shape == (8, 8, 1)
    assert predictor.task == task
    assert predictor.format == "litert"
    assert "8, 8, 1" in repr(predictor)
    assert 0 < predictor.latency(repeats=3) < 1000


@pytest.mark.parametrize("format", ["litert", "litert_int8", "onnx"])
def test_prediction_needs_neither_keras_nor_tensorflow(format, exported, digits, tmp_path):
    path = tmp_path / "digit.png"
    Image.fromarray(digits[0][0, :, :, 0]).save(path)
    code = f"""
        import sys
        import vislearn

        predictor = vislearn.load_predictor({str(exported[0])!r}, {format!r}, threads=1)
        print(predictor.predict_files([{str(path)!r}])[0].label)
        heavy = {{"keras", "tensorflow", "jax", "torch"}} & {{*sys.modules}}
        assert not heavy, heavy
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    answer = load_predictor(exported[0], format).predict(digits[0][:1])
    assert result.stdout.strip() == load_predictor(exported[0]).classes[answer["class_id"][0]]


def test_files_are_fitted_and_named(exported, digits, tmp_path):
    image, label = digits[0][1500, :, :, 0], digits[1][1500]
    exact, large = tmp_path / "exact.png", tmp_path / "large.png"
    Image.fromarray(image).save(exact)
    Image.fromarray(image).resize((64, 64), Image.Resampling.NEAREST).convert("RGB").save(large)
    predictor = load_predictor(exported[0])
    first, second = predictor.predict_files([str(exact), large], batch_size=1)
    expected = predictor.predict(image[None, :, :, None])["scores"][0]
    np.testing.assert_array_equal(first.answers["scores"], expected)
    assert first.path == exact
    assert first.answers["class_id"] == second.answers["class_id"] == label
    assert first.label == predictor.classes[label]
    top = first.top(3)
    assert top[0] == (first.label, pytest.approx(expected.max()))
    assert [score for _, score in top] == sorted((score for _, score in top), reverse=True)
    assert len(first.top(100)) == 10
    with pytest.raises(ValueError, match="k=0"):
        first.top(0)


def test_a_file_that_is_no_image_is_named(exported, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"notes\.png"):
        load_predictor(exported[0]).predict_files([tmp_path / "notes.png"])


@pytest.mark.parametrize("format", FORMATS)
def test_no_images_give_no_answers(format, exported):
    answers = load_predictor(exported[0], format).predict(np.zeros((0, 8, 8, 1), "uint8"))
    assert {name: (a.shape, a.dtype) for name, a in answers.items()} == {
        "scores": ((0, 10), np.float32),
        "class_id": ((0,), np.int32),
    }


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 1), "float32"), "image must be uint8 .* float32"),
        (np.zeros((8, 8, 1), "uint8"), r"image must have the shape \(n, 8, 8, 1\).*\(8, 8, 1\)"),
        (np.zeros((2, 8, 8, 3), "uint8"), r"\(2, 8, 8, 3\)"),
        (np.zeros((2, 16, 8, 1), "uint8"), r"\(2, 16, 8, 1\)"),
    ],
)
def test_wrong_images(images, message, exported):
    with pytest.raises(ValueError, match=message):
        load_predictor(exported[0]).predict(images)


def test_wrong_arguments(exported, tiny, letters, tmp_path):
    directory = exported[0]
    with pytest.raises(ValueError, match=r"format='tflite' is no format.*'litert_int8', 'onnx'"):
        load_predictor(directory, "tflite")
    with pytest.raises(ValueError, match="threads=0"):
        load_predictor(directory, threads=0)
    with pytest.raises(ValueError, match="threads=2"):
        load_predictor(directory, "savedmodel", threads=2)
    with pytest.raises(ValueError, match="batch_size=0"):
        load_predictor(directory).predict(np.zeros((1, 8, 8, 1), "uint8"), batch_size=0)
    with pytest.raises(FileNotFoundError, match="absent"):
        load_predictor(tmp_path / "absent")
    with pytest.raises(PackageError, match=r"holds no model\.json"):
        load_predictor(tmp_path)
    vislearn.export_model(tiny, tmp_path / "p", task=letters, formats=["onnx"])
    with pytest.raises(ValueError, match=r"'litert' is not in this package.*\['onnx'\]"):
        load_predictor(tmp_path / "p")


DAMAGED = [
    ("litert", "model.tflite"),
    ("litert_float16", "model_float16.tflite"),
    ("litert_dynamic", "model_dynamic.tflite"),
    ("litert_int8", "model_int8.tflite"),
    ("onnx", "model.onnx"),
    ("savedmodel", "savedmodel/1/saved_model.pb"),
    ("savedmodel", "savedmodel/1/fingerprint.pb"),
    ("savedmodel", "savedmodel/1/assets.extra/tf_serving_warmup_requests"),
    ("savedmodel", "savedmodel/1/variables/variables.index"),
    ("savedmodel", "savedmodel/1/variables/variables.data-00000-of-00001"),
    ("onnx", "labels.txt"),
]


@pytest.mark.parametrize(("format", "name"), DAMAGED)
def test_one_wrong_byte_is_noticed(format, name, copy):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(PackageError, match=f"damaged.*{os.path.basename(name)}.*sha256"):
        load_predictor(copy, format)


def test_every_file_of_every_format_is_in_the_test_above(exported):
    manifest = json.loads((exported[0] / "model.json").read_text())
    loaded = {name for name in manifest["files"] if not name.startswith("serving/")}
    assert {name for _, name in DAMAGED} == loaded - {"card.md"}


def test_missing_and_additional_files_are_noticed(copy):
    (copy / "model.onnx").unlink()
    with pytest.raises(PackageError, match=r"model\.onnx is missing"):
        load_predictor(copy, "onnx")
    (copy / "savedmodel/1/assets").mkdir()
    (copy / "savedmodel/1/assets/extra.txt").write_text("not exported")
    with pytest.raises(PackageError, match=r"assets/extra\.txt"):
        load_predictor(copy, "savedmodel")
    load_predictor(copy, "litert")  # The other formats are not touched by it.


def test_verification_can_be_left_out(copy):
    (copy / "labels.txt").write_text("changed\n")
    load_predictor(copy, verify=False)


def test_a_manifest_that_disagrees_with_its_files_is_noticed(copy):
    for change, message in (
        (lambda m: m["classes"].reverse(), "disagree on classes"),
        (lambda m: m["files"]["model.tflite"].update(sha256="0" * 64), "sha256"),
    ):
        manifest = json.loads((copy / "model.json").read_text())
        change(manifest)
        (copy / "model.json").write_text(json.dumps(manifest))
        with pytest.raises(PackageError, match=message):
            load_predictor(copy)


KEYS = (
    *("name", "task", "family", "task_options", "signature", "shows", "classes", "inputs"),
    *("outputs", "formats", "files", "notes", "versions", "created", "measured_on", "training"),
)


@pytest.mark.parametrize("key", KEYS)
def test_a_manifest_without_a_key_that_is_used_is_refused(key, copy):
    manifest = json.loads((copy / "model.json").read_text())
    del manifest[key]
    (copy / "model.json").write_text(json.dumps(manifest))
    for read in (read_manifest, inspect_package, load_predictor):
        with pytest.raises(PackageError, match=f"model.json is damaged: it lacks .*{key}"):
            read(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format_version=1), "format_version=1"),
        (lambda m: m.update(name=7), "name=7 must be a text"),
        (lambda m: m.update(name=""), "name='' must not be empty"),
        (lambda m: m.update(shows="picture"), "shows='picture' must be one of .*'scores'"),
        (lambda m: m.update(batch=True), "batch=True must be a whole number or null"),
        (lambda m: m.update(batch=0), "batch=0 must be at least 1"),
        (lambda m: m.update(batch=2), r"shape=.* must begin with batch=2"),
        (lambda m: m.update(classes=["a", "a"]), "classes=.* must hold no name twice"),
        (lambda m: m.update(classes=[1, 2]), "classes=.* must hold texts"),
        (lambda m: m.update(task="telepathy"), "task='telepathy' must be one of"),
        (lambda m: m.update(task_options={"speed": 1}), "speed.* are no options"),
        (lambda m: m.update(inputs=[]), r"inputs=\[\] must name at least one"),
        (lambda m: m["inputs"][0].pop("resize"), r"lacks .*inputs\[0\].resize"),
        (lambda m: m["inputs"][0].update(resize="squash"), r"inputs\[0\].resize='squash' must"),
        (lambda m: m["inputs"][0].update(dtype="float16"), r"inputs\[0\].dtype='float16' must"),
        (lambda m: m["inputs"][0].update(shape=[None, 8, 8]), r"inputs\[0\].shape=.* pictures"),
        (lambda m: m["outputs"][0].update(shape=[None, -1]), r"outputs\[0\].shape=.* at least 1"),
        (lambda m: m["outputs"][0].update(range=[1, 0]), r"outputs\[0\].range=\[1, 0\] must"),
        (lambda m: m["outputs"][0].update(unit=3), r"outputs\[0\].unit=3 must be a text or null"),
        (lambda m: m["outputs"].append(m["outputs"][0]), "outputs=.* must hold no name twice"),
        (lambda m: m["files"].update({"../x": {"size": 1, "sha256": "0" * 64}}), "inside the pack"),
        (lambda m: m["files"].update({"/x": {"size": 1, "sha256": "0" * 64}}), "inside the pack"),
        (lambda m: m["files"]["model.onnx"].pop("size"), r"lacks .*model.onnx'\].size"),
        (lambda m: m["files"]["model.onnx"].update(sha256="x"), "sha256='x' must be 64 hex"),
        (lambda m: m["files"]["model.onnx"].update(size="1"), "size='1' must be a whole number"),
        (lambda m: m.update(formats=[]), r"formats=\[\] must name at least one"),
        (lambda m: m["formats"][1].update(metrics=None), r"formats\[1\].metrics=None must have"),
        (lambda m: m["formats"][1].update(latency_ms="fast"), "latency_ms='fast' must be a number"),
        (lambda m: m["formats"][1].update(format="tflite"), "format='tflite' must be one of"),
        (lambda m: m["files"].pop("model.onnx"), "file='model.onnx' must be among the files"),
    ],
)
def test_a_changed_manifest_is_noticed(change, message, copy):
    manifest = json.loads((copy / "model.json").read_text())
    change(manifest)
    (copy / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(PackageError, match=message):
        inspect_package(copy)


@pytest.mark.parametrize("text", ["{", "[]", "null", "\udcff"])
def test_a_broken_manifest_is_noticed(text, copy):
    (copy / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PackageError, match=r"model\.json"):
        load_predictor(copy)
