"""Files in fewer bits, layers that stay in float, fixed batches, and what int8 may cost."""

import json
import math
import re

import keras
import numpy as np
import pytest

import vislearn
from vislearn.export import (
    FORMATS,
    ExportError,
    FormatReport,
    benchmark_package,
    load_predictor,
    measuring,
    operator_counts,
    quantisation,
    read_manifest,
)
from vislearn.export.budget import loss_notes, lost, over_budget
from vislearn.export.convert import Endpoint
from vislearn.export.measuring import mean_difference
from vislearn.export.probe import probe
from vislearn.export.runtimes import open_runtime
from vislearn.layers import GroupedConv2D
from vislearn.tasks import get_task

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
    assert lost(0.03, 0.01, "difference") == pytest.approx(0.02)
    # An error where there was none, and what is no number, is within no budget.
    assert lost(0.0, 0.0, "min") == 0
    assert lost(0.1, 0.0, "min") == math.inf
    for mode in ("min", "max", "difference"):
        assert lost(math.nan, 1.0, mode) == lost(1.0, math.nan, mode) == math.inf


def test_what_is_no_number_is_over_budget():
    rows = [
        FormatReport(format, "", 1, {"values": 0.0}, None, {"mae": error}, 1.0, 1.0)
        for format, error in (("litert", 0.5), ("litert_float16", math.nan))
    ]
    told = over_budget(0.5, rows, "mae", "min")
    assert [*told] == ["litert_float16"]
    assert "mae nan" in told["litert_float16"]
    assert len(loss_notes(rows, "mae", "min")) == 1


def test_a_file_that_answers_what_is_no_number_is_refused(tiny, letters, tmp_path, monkeypatch):
    def broken(path, format, **options):
        run = open_runtime(path, format, **options)
        if format != "litert_float16":
            return run
        return lambda inputs: {**run(inputs), "scores": np.full((len(inputs["image"]), 5), np.nan)}

    monkeypatch.setattr(measuring, "open_runtime", broken)
    with pytest.raises(ExportError, match="litert_float16 answers 'scores' with NaN or infinity"):
        vislearn.export_model(
            tiny, tmp_path / "p", task=letters, formats=["litert"], quantize="float16"
        )
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(0)
    return vislearn.create_model("dcgan", **vislearn.model_info("dcgan").tiny)


def test_what_is_fed_by_noise_has_an_int8_file(generator, tmp_path):
    report = vislearn.export_model(
        generator,
        tmp_path / "p",
        task=get_task("generation", (), "gan"),
        formats=["litert"],
        quantize="int8",
        budget=0.05,
    )
    float32, int8 = report.rows
    assert report.metric == "mean_difference"
    assert float32.metrics["mean_difference"] < 1e-6
    assert 0 < int8.metrics["mean_difference"] < 0.02
    assert operator_counts(tmp_path / "p" / FORMATS["litert_int8"])["TRANSPOSE_CONV", "int8"] == 2
    # The metric is that of pictures on other noise than the ranges were set on.
    noise = {"noise": np.random.default_rng(5).normal(size=(8, 8)).astype("float32")}
    pictures = [
        load_predictor(tmp_path / "p", format).predict(noise)["image"].astype(float)
        for format in ("litert", "litert_int8")
    ]
    gap = np.abs(pictures[0] - pictures[1]).mean() / 255
    assert gap == pytest.approx(int8.metrics["mean_difference"], rel=0.5)


def test_what_makes_pictures_has_a_budget(generator, tmp_path):
    with pytest.raises(ExportError, match=r"mean_difference .* budget=0 allows 0\.00%"):
        vislearn.export_model(
            generator,
            tmp_path / "p",
            task=get_task("generation", (), "gan"),
            formats=["litert"],
            quantize="dynamic",
            budget=0.0,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibration": np.zeros((2, 8), "uint8")}, "calibration must be None: generator takes"),
        ({"validation": {"images": np.zeros((2, 8))}}, "validation must be None"),
        ({"budget": 0.1}, "budget=0.1 needs quantize"),
    ],
)
def test_what_noise_has_no_use_for_is_refused(options, message, generator, tmp_path):
    task = get_task("generation", (), "gan")
    with pytest.raises(ValueError, match=message):
        vislearn.export_model(generator, tmp_path / "p", task=task, **options)


def test_mean_differences_are_in_the_units_of_the_answers():
    expected = {"image": np.full((2, 3), 100, "uint8"), "mean": np.array([-5.0, 5.0], "float32")}
    actual = {"image": np.full((2, 3), 151, "uint8"), "mean": np.array([-5.0, 4.0], "float32")}
    assert mean_difference(expected, {**expected, "image": actual["image"]}) == 0.2
    assert mean_difference(expected, {**expected, "mean": actual["mean"]}) == 0.1


def test_every_int8_file_is_read_back(generator, tmp_path, monkeypatch):
    """The writer itself looks: so does who writes with it, layer by layer."""
    (signature,) = get_task("generation", (), "gan").signatures(generator)
    endpoint = Endpoint(signature)
    endpoint.write_savedmodel(tmp_path / "s")
    writer = endpoint.int8_writer(tmp_path / "s", signature.samples(2))
    monkeypatch.setattr(quantisation, "litert_operators", lambda path: ["CUSTOM:FlexErf"])
    with pytest.raises(ExportError, match="not built in: CUSTOM:FlexErf"):
        writer.write(tmp_path / "m.tflite")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_float": ["head"]}, r"keep_float=\['head'\] is for quantize='int8'"),
        ({"keep_float": "head", "quantize": "int8"}, "keep_float='head' must be a list"),
        ({"keep_float": ["haed"], "quantize": "int8"}, "keep_float='haed' .* Did you mean 'head'"),
        ({"keep_float": ["x*"], "quantize": "int8"}, r"keep_float='x\*' is no layer"),
        ({"budget": 0.01}, "budget=0.01 needs quantize"),
        ({"budget": 0.01, "quantize": "float16"}, "budget=0.01 needs validation images"),
        ({"budget": 1.5, "quantize": "float16"}, r"budget=1.5 must lie in 0\.\.1"),
        ({"batch": 0}, "batch=0 must be None or"),
    ],
)
def test_wrong_arguments(options, message, trained, task, digits, tmp_path):
    with pytest.raises(ValueError, match=message):
        export(trained, tmp_path / "p", task, digits, **options)
    assert not list(tmp_path.iterdir())


def test_channels_that_are_never_active_stay_in_float(letters, tmp_path):
    """In int8 their file would take the process down that loads it."""
    info = vislearn.model_info("resnet20_cifar")
    model = vislearn.create_model("resnet20_cifar", **info.tiny)
    dead = model.get_layer("stage2_block1_bn1")
    gamma, beta, mean, variance = dead.get_weights()
    dead.set_weights([gamma, np.full_like(beta, -100.0), mean, variance])  # before a ReLU
    (signature,) = letters.signatures(model)
    endpoint = Endpoint(signature)
    endpoint.write_savedmodel(tmp_path / "s")
    writer = endpoint.int8_writer(tmp_path / "s", signature.samples(4))
    writer.write(tmp_path / "m.tflite")
    counts = operator_counts(tmp_path / "m.tflite")
    # The second convolution of the block has nothing but zeros to work on.
    assert counts["CONV_2D", "float32"] == 2
    assert counts["CONV_2D", "int8"] == 5
    probe(
        tmp_path / "m.tflite",
        "litert_int8",
        signature.samples(1),
        threads=1,
        batches=(1,),
        seconds=0.01,
    )


def test_kernels_of_joined_groups_are_computed_by_the_converter(letters, tmp_path):
    """Computed at each call they would cost time, and be no weights that int8 can hold."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(64, 1)(keras.layers.Rescaling(1 / 255)(inputs))
    x = GroupedConv2D(64, 3, groups=16, use_bias=False)(x)  # two blocks of eight groups
    model = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    vislearn.export_model(
        model,
        tmp_path / "p",
        task=letters,
        formats=["litert"],
        quantize="int8",
        calibration=images,
    )
    for format, kind in (("litert", "float32"), ("litert_int8", "int8")):
        counts = operator_counts(tmp_path / "p" / FORMATS[format])
        assert counts["CONV_2D", kind] == 3
        assert not {"TILE", "MUL", "TRANSPOSE"} & {name for name, _ in counts}
