"""Writing packages: every format against Keras, and what happens when something goes wrong."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from keras import ops

import vislearn
from vislearn import backend
from vislearn.export import (
    FORMATS,
    ExportError,
    FormatReport,
    litert_operators,
    load_predictor,
    read_manifest,
)
from vislearn.export.budget import loss_notes
from vislearn.export.convert import in_float32
from vislearn.tasks import Detection

pytestmark = pytest.mark.tensorflow

FLOAT_FORMATS = ("savedmodel", "litert", "onnx")


def softmax(logits):
    """The probabilities in float64, without Keras."""
    logits = logits.astype("float64")
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def left_in(directory):
    """Names in a folder, hidden ones included."""
    return sorted(path.name for path in directory.iterdir())


def run(code, **environment):
    """Runs Python code in a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("format", FLOAT_FORMATS)
def test_a_float_file_answers_as_keras(format, exported, trained, digits):
    images = digits[0][200:333]
    answers = load_predictor(exported[0], format).predict(images, batch_size=50)
    scores = softmax(trained.predict(images.astype("float32"), verbose=0))
    np.testing.assert_allclose(answers["scores"], scores, atol=1e-5)
    np.testing.assert_array_equal(answers["class_id"], scores.argmax(axis=-1))
    assert answers["scores"].dtype == np.float32
    assert answers["class_id"].dtype == np.int32


@pytest.mark.parametrize("format", FORMATS)
def test_the_report_states_what_an_independent_run_finds(format, exported, trained, digits):
    directory, report = exported
    row = next(row for row in report.rows if row.format == format)
    images, labels = digits
    predictor = load_predictor(directory, format)
    compared = images[np.linspace(0, 99, 64).astype(int)]
    scores = softmax(ops.convert_to_numpy(trained(compared.astype("float32"), training=False)))
    answers = predictor.predict(compared)
    difference = np.abs(answers["scores"] - scores).max()
    assert row.max_difference["scores"] == pytest.approx(difference, abs=1e-6)
    assert row.agreement == np.mean(answers["class_id"] == scores.argmax(axis=-1))
    right = predictor.predict(images[1300:])["class_id"] == labels[1300:]
    assert row.metrics["accuracy"] == pytest.approx(right.mean())
    assert row.latency_ms > 0


def test_the_int8_file_is_small_and_as_good_as_the_float_one(exported):
    directory, report = exported
    rows = {row.format: row for row in report.rows}
    assert rows["litert"].metrics["accuracy"] > 0.93
    assert rows["litert_int8"].metrics["accuracy"] > rows["litert"].metrics["accuracy"] - 0.02
    assert rows["litert_int8"].agreement > 0.95
    assert rows["litert_int8"].size < 0.4 * rows["litert"].size
    # In int8, a softmax could only answer in steps of 1/256.
    scores = load_predictor(directory, "litert_int8").predict(np.zeros((1, 8, 8, 1), "uint8"))[
        "scores"
    ]
    assert np.abs(scores * 256 - np.round(scores * 256)).max() > 1e-3


@pytest.mark.parametrize(
    ("accuracies", "agreement", "warning"),
    [
        ((0.95, 0.945), 0.9, None),  # Accuracy counts where it is known.
        ((0.95, 0.93), 1.0, "93.00%, the float files 95.00%"),
        ((None, None), 0.96, None),
        ((None, None), 0.94, "on only 94.00%"),
    ],
)
def test_a_bad_int8_file_is_warned_of(accuracies, agreement, warning):
    metrics = [None if value is None else {"accuracy": value} for value in accuracies]
    rows = [
        FormatReport(format, "", 1, {"scores": 0.0}, agreement, known, 1.0, 1.0)
        for format, known in zip(("litert", "litert_int8"), metrics, strict=True)
    ]
    assert loss_notes(rows[:1], "accuracy") == []
    notes = loss_notes(rows, "accuracy")
    assert len(notes) == (warning is not None)
    assert all(warning in note for note in notes)


@pytest.mark.parametrize("format", FORMATS)
def test_any_batch_size_gives_the_same_answers(format, exported, digits):
    images = digits[0][:9]
    predictor = load_predictor(exported[0], format)
    one_by_one = [predictor.predict(image[None])["scores"][0] for image in images]
    for size in (9, 2, 4):
        scores = predictor.predict(images, batch_size=size)["scores"]
        np.testing.assert_allclose(scores, one_by_one, atol=1e-5)


def test_litert_files_hold_built_in_operations_only(exported):
    for format in (format for format in FORMATS if format.startswith("litert")):
        operators = litert_operators(exported[0] / FORMATS[format])
        assert "CONV_2D" in operators
        assert not [name for name in operators if name.startswith("CUSTOM:")]


def test_litert_operators_tells_custom_operations(tmp_path):
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 3))])
        def __call__(self, x):
            return tf.math.erf(x)

    module = Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    (tmp_path / "flex.tflite").write_bytes(converter.convert())
    assert litert_operators(tmp_path / "flex.tflite") == ["CUSTOM:FlexErf", "CUSTOM:FlexIdentity"]


def test_the_manifest_describes_the_folder(exported, task):
    directory, report = exported
    manifest = read_manifest(directory)
    files = {
        path.relative_to(directory).as_posix(): path
        for path in directory.rglob("*")
        if path.is_file() and path.name != "model.json"
    }
    assert {*manifest["files"]} == {*files}
    for name, path in files.items():
        content = path.read_bytes()
        assert manifest["files"][name]["size"] == len(content)
        assert manifest["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["classes"] == list(task.classes)
    assert (directory / "labels.txt").read_text().split() == list(task.classes)
    assert manifest["task"] == "classification"
    (image,) = manifest["inputs"]
    assert image.pop("meaning").startswith("pixels")
    assert image == {
        "name": "image",
        "shape": [None, 8, 8, 1],
        "dtype": "uint8",
        "range": [0, 255],
        "unit": "pixel level",
        "channels": "grey",
        "resize": "crop",
    }
    outputs = {o["name"]: (o["shape"], o["dtype"]) for o in manifest["outputs"]}
    assert outputs == {"scores": ([None, 10], "float32"), "class_id": ([None], "int32")}
    assert manifest["training"] == {"data": {"name": "digits"}, "epochs": 6}
    assert [row["metrics"] for row in manifest["formats"]] == [row.metrics for row in report.rows]
    assert manifest["metric"] == "accuracy"
    assert {"keras", "tensorflow", "onnx", "ai-edge-litert"} <= {*manifest["versions"]}


def test_report_and_card_can_be_read(exported):
    from rich.console import Console

    directory, report = exported
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report.table())
    text = capture.get()
    card = (directory / "card.md").read_text()
    for row in report.rows:
        assert row.format in text
        assert FORMATS[row.format] in card
        assert f"{row.metrics['accuracy']:.2%}" in text
        assert f"{row.metrics['accuracy']:.2%}" in card
    assert "64 calibration images" in text
    assert "data.name: digits" in card
    assert 'load_predictor("digits"' in card
    assert json.loads(json.dumps(report.to_dict()))["rows"][0]["format"] == "savedmodel"


def test_an_export_is_silent(tiny, letters, tmp_path, capfd):
    images = np.zeros((2, 16, 16, 3), "uint8")
    vislearn.export_model(
        tiny, tmp_path / "package", task=letters, quantize="int8", calibration=images
    )
    assert capfd.readouterr() == ("", "")


def test_without_images_the_report_says_so(tiny, letters, tmp_path):
    report = vislearn.export_model(tiny, tmp_path / "p", task=letters, formats=["onnx"])
    assert "random pixels" in report.samples
    assert any("No real images" in note for note in report.notes)
    assert left_in(tmp_path / "p") == [
        *("card.md", "labels.txt", "model.json", "model.onnx", "serving"),
    ]
    assert left_in(tmp_path) == ["p"]


def test_a_mixed_precision_model_is_exported_in_float32(letters, tmp_path):
    info = vislearn.model_info("resnet20_cifar")
    with backend.precision("mixed_bfloat16"):
        mixed = vislearn.create_model("resnet20_cifar", **info.tiny)
    plain = vislearn.create_model("resnet20_cifar", **info.tiny)
    plain.set_weights(mixed.get_weights())
    images = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 3), "uint8")
    report = vislearn.export_model(
        mixed, tmp_path / "p", task=letters, formats=["litert"], calibration=images
    )
    assert any("mixed_bfloat16" in note for note in report.notes)
    assert report.notes[0] in (tmp_path / "p" / "card.md").read_text()
    scores = load_predictor(tmp_path / "p").predict(images)["scores"]
    expected = softmax(plain.predict(images.astype("float32"), verbose=0))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    # The model itself computes otherwise, and is left as it was.
    rounded = softmax(mixed.predict(images.astype("float32"), verbose=0))
    assert np.abs(rounded - expected).max() > 1e-5
    assert mixed.get_layer("stem_conv").compute_dtype == "bfloat16"


def test_the_float32_twin_reaches_into_nested_models():
    with backend.precision("mixed_bfloat16"):
        inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="inner")
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    twin = in_float32(model)
    assert twin.get_layer("inner").layers[0].compute_dtype == "float32"
    assert twin.layers[-1].compute_dtype == "float32"
    for ours, theirs in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert in_float32(twin) is twin


class Erf(keras.layers.Layer):
    """The error function, which LiteRT has not built in."""

    def call(self, inputs):
        return ops.erf(inputs)


class Spectrum(keras.layers.Layer):
    """The real part of a Fourier transform, which ONNX has not in this form."""

    def call(self, inputs):
        return ops.fft((inputs, ops.zeros_like(inputs)))[0]


class DoubledInGraphs(keras.layers.Layer):
    """Computes one thing when called and another when traced."""

    def call(self, inputs):
        import tensorflow as tf

        return inputs if tf.executing_eagerly() else 2.0 * inputs


def with_layer(layer):
    """A small classifier with the layer in the middle."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255, name="scale"),
            keras.layers.Conv2D(8, 3, name="conv"),
            layer,
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(5, name="head"),
        ]
    )


@pytest.mark.parametrize(
    ("layer", "format", "operation"),
    [(Erf(name="strange"), "litert", "Erf"), (Spectrum(name="strange"), "onnx", "Complex")],
)
def test_a_missing_operation_is_named_with_its_layer(layer, format, operation, letters, tmp_path):
    with pytest.raises(ExportError, match=f"{operation} in the layer 'strange'"):
        vislearn.export_model(with_layer(layer), tmp_path / "p", task=letters, formats=[format])
    assert left_in(tmp_path) == []


def test_exact_gelu_is_exported(letters, tmp_path):
    model = with_layer(keras.layers.Activation("gelu"))
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), "uint8")
    report = vislearn.export_model(model, tmp_path / "p", task=letters, calibration=images)
    assert max(row.max_difference["scores"] for row in report.rows) < 1e-6


@pytest.mark.parametrize("format", FLOAT_FORMATS)
def test_a_file_that_differs_fails_the_export(format, letters, tmp_path):
    model = with_layer(DoubledInGraphs(name="culprit"))
    model = keras.Model(model.inputs[0], model.outputs[0])
    with pytest.raises(ExportError, match=f"{format} .* layer 'culprit'; output 'scores'"):
        vislearn.export_model(model, tmp_path / "p", task=letters, formats=[format])
    assert left_in(tmp_path) == []


def test_undefined_outputs_fail_the_export(tiny, letters, tmp_path):
    head = tiny.get_layer("head")
    head.bias.assign(np.full(5, np.nan, "float32"))
    with pytest.raises(ExportError, match="'scores' holds NaN"):
        vislearn.export_model(tiny, tmp_path / "p", task=letters, formats=["onnx"])
    assert left_in(tmp_path) == []


def test_overwriting(tiny, letters, tmp_path):
    package = tmp_path / "p"
    options = {"task": letters, "formats": ["onnx"]}
    vislearn.export_model(tiny, package, **options)
    first = (package / "model.onnx").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        vislearn.export_model(tiny, package, **options)

    with pytest.raises(ExportError, match="Complex"):
        vislearn.export_model(
            with_layer(Spectrum()), package, task=letters, formats=["onnx"], overwrite=True
        )
    assert (package / "model.onnx").read_bytes() == first  # A failure keeps what was there.

    tiny.get_layer("head").bias.assign(np.arange(5, dtype="float32"))
    vislearn.export_model(tiny, package, **options, overwrite=True)
    assert (package / "model.onnx").read_bytes() != first
    load_predictor(package, "onnx")
    assert left_in(tmp_path) == ["p"]


def test_only_packages_are_overwritten(tiny, letters, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"holds no model\.json"):
        vislearn.export_model(tiny, tmp_path, task=letters, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


IMAGES = np.zeros((4, 16, 16, 3), "uint8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": "onnx"}, "formats='onnx' must be"),
        ({"formats": []}, "formats="),
        ({"formats": ["tflite"]}, "formats=.*litert"),
        ({"quantize": "int4", "calibration": IMAGES}, r"quantize=\['int4'\] must be some of"),
        ({"quantize": "int8"}, "needs calibration"),
        ({"calibration": IMAGES.astype("float32")}, "calibration must be uint8"),
        ({"calibration": IMAGES[:, :8]}, r"calibration must have the shape \(n, 16, 16, 3\)"),
        ({"calibration": IMAGES[:0]}, "calibration is empty"),
        ({"validation": IMAGES}, "must be a dictionary"),
        ({"validation": {"images": IMAGES, "labels": [0, 1]}}, "labels must be 4 integers"),
        ({"validation": {"images": IMAGES, "labels": [0, 1, 2, 5]}}, r"labels must lie in 0\.\.4"),
        ({"metadata": [1]}, "metadata must be a dictionary"),
        ({"metadata": {"loss": float("nan")}}, "JSON"),
        ({"metadata": {"model": object()}}, "JSON"),
        ({"resize": "squash"}, "resize='squash'"),
    ],
)
def test_wrong_arguments(options, message, tiny, letters, tmp_path):
    with pytest.raises(ValueError, match=message):
        vislearn.export_model(tiny, tmp_path / "p", **{"task": letters, **options})
    assert left_in(tmp_path) == []


def test_models_that_would_answer_wrongly_are_refused(tiny, task, letters, tmp_path):
    info = vislearn.model_info("resnet20_cifar")
    with pytest.raises(ValueError, match=r"10 classes: it must be \(None, 10\)"):
        vislearn.export_model(tiny, tmp_path / "p", task=task)
    twice = vislearn.create_model("resnet20_cifar", **info.tiny, classifier_activation="softmax")
    with pytest.raises(ValueError, match="ends in softmax"):
        vislearn.export_model(twice, tmp_path / "p", task=letters)
    broken = vislearn.tasks.Classification(("a", "b", "c", "d", "e\nf"))
    with pytest.raises(ValueError, match="one-line names"):
        vislearn.export_model(tiny, tmp_path / "p", task=broken)
    inputs = keras.Input((None, None, 3))
    loose = keras.Model(
        inputs, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(inputs))
    )
    with pytest.raises(ValueError, match="fixed size"):
        vislearn.export_model(loose, tmp_path / "p", task=letters)


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    code = f"""
        import resource
        import vislearn
        from vislearn.tasks import Classification

        info = vislearn.model_info("resnet20_cifar")
        model = vislearn.create_model("resnet20_cifar", **info.tiny)
        task = Classification(tuple("abcde"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        for formats in (["savedmodel"], ["onnx"]):
            try:
                vislearn.export_model(model, {str(tmp_path / "p")!r}, task=task, formats=formats)
            except OSError as error:
                print("OSError:", error)
    """
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("OSError:") == 2
    assert left_in(tmp_path) == []


def test_on_another_backend_the_error_says_what_to_do(tmp_path):
    pytest.importorskip("jax")
    code = f"""
        import vislearn

        try:
            vislearn.export_model(None, {str(tmp_path / "p")!r}, task=None)
        except vislearn.export.ExportError as error:
            print(error)
    """
    result = run(code, KERAS_BACKEND="jax")
    assert "KERAS_BACKEND=tensorflow" in result.stdout, result.stderr
    assert left_in(tmp_path) == []


@pytest.mark.slow
def test_an_int8_detector_decodes_in_float(tmp_path):
    """In int8, overlaps of boxes would be divided by zero, and coordinates have 256 values."""
    info = vislearn.model_info("retinanet")
    keras.utils.set_random_seed(0)
    model = vislearn.create_model("retinanet", **info.tiny)
    images = np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:]), dtype=np.uint8)
    report = vislearn.export_model(
        model,
        tmp_path / "p",
        task=Detection(tuple("abc"), score_threshold=0.0),
        formats=["litert"],
        quantize="int8",
        calibration=images,
    )
    assert [row.format for row in report.rows] == ["litert", "litert_int8"]
    answers = load_predictor(tmp_path / "p", "litert_int8").predict(images)
    assert np.all(answers["count"] > 0)
    inside = answers["boxes"][(answers["boxes"] > 0) & (answers["boxes"] < 64)]
    assert len(np.unique(inside)) > 300
