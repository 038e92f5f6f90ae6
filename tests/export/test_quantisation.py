"""Files in fewer bits, layers that stay in float, fixed batches, and what int8 may cost."""

import json
import re

import keras
import numpy as np
import pytest

import vislearn
from vislearn.export import (
    FORMATS,
    ExportError,
    benchmark_package,
    load_predictor,
    operator_counts,
    read_manifest,
)
from vislearn.export.budget import lost

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def stretched(trained):
    """The same function with one channel of a hidden tensor ten thousand times as large.

    The next layer takes it back. In float nothing changes; in int8 the other channels of the tensor
    have one value left.
    """
    model = keras.models.clone_model(trained)
    model.set_weights(trained.get_weights())
    for block in ("stage2_block1", "stage3_block1"):
        gamma, beta, mean, variance = model.get_layer(f"{block}_bn1").get_weights()
        gamma[0], beta[0] = 1e4 * gamma[0], 1e4 * abs(beta[0]) + 1e4
        model.get_layer(f"{block}_bn1").set_weights([gamma, beta, mean, variance])
        (kernel,) = model.get_layer(f"{block}_conv2").get_weights()
        kernel[:, :, 0] *= 1e-4
        model.get_layer(f"{block}_conv2").set_weights([kernel])
    return model


@pytest.fixture(scope="module")
def validation(digits):
    return {"images": digits[0][1300:], "labels": digits[1][1300:]}


def export(model, directory, task, digits, **options):
    options = {"formats": ["litert"], "calibration": digits[0][:50], **options}
    return vislearn.export_model(model, directory, task=task, **options)


def test_fewer_bits_make_smaller_files(exported):
    rows = {row.format: row for row in exported[1].rows}
    size = rows["litert"].size
    for format, share in (("litert_float16", 0.6), ("litert_dynamic", 0.4), ("litert_int8", 0.4)):
        assert rows[format].size < share * size
        assert rows[format].agreement > 0.95
    assert 0 < rows["litert_float16"].max_difference["scores"] < 2e-3
    counts = operator_counts(exported[0] / FORMATS["litert_dynamic"])
    assert counts["CONV_2D", "float32"] >= 7  # Only the weights are integers.


def test_layers_stay_in_float_and_the_budget_is_kept(trained, task, digits, validation, tmp_path):
    export(
        *(trained, tmp_path / "p", task, digits),
        quantize="int8",
        keep_float=["stage1_*", "head"],
        validation=validation,
        budget=0.02,
    )
    counts = operator_counts(tmp_path / "p" / FORMATS["litert_int8"])
    # Depth 8 has one block of two convolutions a stage; the stem and two stages are in integers.
    assert counts["CONV_2D", "float32"] == 2
    assert counts["CONV_2D", "int8"] == 5
    assert counts["FULLY_CONNECTED", "float32"] == 1
    kept = read_manifest(tmp_path / "p")["keep_float"]
    assert "head" in kept and "stage1_block1_conv1" in kept and "stem_conv" not in kept


def test_a_fixed_batch_answers_any_number(exported, trained, task, digits, validation, tmp_path):
    report = export(
        *(trained, tmp_path / "p", task, digits),
        formats=["savedmodel", "litert", "onnx"],
        quantize="int8",
        batch=4,
        validation=validation,
    )
    manifest = read_manifest(tmp_path / "p")
    assert manifest["batch"] == 4
    assert manifest["inputs"][0]["shape"] == [4, 8, 8, 1]
    assert manifest["outputs"][0]["shape"] == [4, 10]
    images = digits[0][:9]
    for row in report.rows:
        free, fixed = (
            load_predictor(folder, row.format) for folder in (exported[0], tmp_path / "p")
        )
        for some in (images, images[:1]):
            expected = free.predict(some)["scores"]
            atol = 1e-5 if row.format != "litert_int8" else 0.1
            np.testing.assert_allclose(fixed.predict(some)["scores"], expected, atol=atol)
    measured = benchmark_package(tmp_path / "p", formats=["onnx"], threads=(1,), seconds=0.02)
    assert [*measured.rows[0].speeds[0].per_second] == [4]
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "p" / "model.onnx")
    assert session.get_inputs()[0].shape == [4, 8, 8, 1]


@pytest.mark.slow
def test_over_budget_the_worst_layers_are_told(stretched, task, digits, validation, tmp_path):
    with pytest.raises(ExportError) as caught:
        export(
            *(stretched, tmp_path / "p", task, digits),
            quantize="int8",
            validation=validation,
            budget=0.01,
        )
    assert not list(tmp_path.iterdir())
    message = str(caught.value)
    assert "model_int8.tflite has accuracy" in message
    assert "budget=0.01 allows 1.00%" in message
    # The tensor is written by one layer and read by the next, in two blocks.
    culprits = {f"stage{n}_block1_conv{m}" for n in (2, 3) for m in (1, 2)}
    rows = re.findall(r"^ +[\d.]+%  (stage\w+|stem\w+|head)$", message, re.MULTILINE)
    assert {*rows[:4]} == culprits
    found = re.search(r"keep_float=(\[.*\])$", message)
    assert found, message
    names = json.loads(found[1].replace("'", '"'))
    assert {*names} == culprits
    report = export(
        *(stretched, tmp_path / "p", task, digits),
        quantize="int8",
        validation=validation,
        budget=0.01,
        keep_float=names,
    )
    float32, int8 = (row.metrics["accuracy"] for row in report.rows)
    assert int8 >= float32 - 0.01


def test_what_is_lost():
    assert lost(0.5, 0.75, "max") == 0.25
    assert lost(0.8, 0.75, "max") == pytest.approx(-0.05)
    assert lost(3.0, 2.0, "min") == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_float": ["head"]}, r"keep_float=\['head'\] is for quantize='int8'"),
        ({"keep_float": "head", "quantize": "int8"}, "keep_float='head' must be a list"),
        ({"keep_float": ["haed"], "quantize": "int8"}, "keep_float='haed' .* Did you mean 'head'"),
        ({"keep_float": ["x*"], "quantize": "int8"}, r"keep_float='x\*' is no layer"),
        ({"budget": 0.01}, "budget=0.01 needs quantize, and validation"),
        ({"budget": 0.01, "quantize": "float16"}, "budget=0.01 needs quantize, and validation"),
        ({"budget": 1.5, "quantize": "float16"}, r"budget=1.5 must lie in 0\.\.1"),
        ({"batch": 0}, "batch=0 must be None or"),
    ],
)
def test_wrong_arguments(options, message, trained, task, digits, tmp_path):
    with pytest.raises(ValueError, match=message):
        export(trained, tmp_path / "p", task, digits, **options)
    assert not list(tmp_path.iterdir())
