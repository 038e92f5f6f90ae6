"""Ensembles: one flat model that answers with the mean of its members, and exports like any run."""

import json

import keras
import numpy as np
import pytest

import vislearn
from vislearn.layers import LogMeanProbability
from vislearn.selection.ensembles import average, average_values

SHAPE = (16, 16, 3)
# Two ways of scaling pixels, batch norm, attention, and shared names of layers.
MEMBERS = (
    ("rvss_convnet", {"filters": (4, 8), "units": 16}),
    ("resnet20_cifar", {"depth": 8, "width": 8, "preprocessing": "imagenet"}),
    ("resnet20_cifar", {"depth": 8, "width": 8}),
)


def members(seed=0):
    keras.utils.set_random_seed(seed)
    return [
        vislearn.create_model(name, input_shape=SHAPE, num_classes=5, **options)
        for name, options in MEMBERS
    ]


def outputs(model, images):
    """Without a graph, which would take longer to trace than it saves here."""
    return keras.ops.convert_to_numpy(model(images, training=False))


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    return powers / powers.sum(-1, keepdims=True)


def test_layer_is_the_logarithm_of_the_mean_distribution():
    rng = np.random.default_rng(0)
    logits = [rng.normal(0, 4, (7, 5)).astype("float32") for _ in range(3)]
    found = keras.ops.convert_to_numpy(LogMeanProbability()(logits))
    np.testing.assert_allclose(found, np.log(np.mean([*map(softmax, logits)], axis=0)), atol=1e-5)


def test_layer_keeps_what_underflows_in_one_member():
    sure, unsure = np.array([[0.0, -500.0]], "float32"), np.array([[0.0, 0.0]], "float32")
    found = keras.ops.convert_to_numpy(LogMeanProbability()([sure, unsure]))
    np.testing.assert_allclose(found, np.log([[0.75, 0.25]]), atol=1e-6)
    alone = keras.ops.convert_to_numpy(LogMeanProbability()([sure, sure]))
    np.testing.assert_allclose(alone, sure, atol=1e-4)


def test_average_is_flat_and_means_the_distributions(tmp_path):
    models = members()
    model = average(models)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.count_params() == sum(one.count_params() for one in models)
    assert model.get_layer("member2_head") is not model.get_layer("member3_head")

    images = np.random.default_rng(0).uniform(0, 255, (4, *SHAPE)).astype("float32")
    expected = np.mean([softmax(outputs(one, images)) for one in models], axis=0)
    np.testing.assert_allclose(softmax(outputs(model, images)), expected, atol=1e-6)

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(again, images), outputs(model, images))


def test_members_are_left_alone():
    models = members()
    before = [one.get_weights() for one in models]
    model = average(models)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    for one, weights in zip(models, before, strict=True):
        for now, then in zip(one.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, then)


def test_average_values_in_the_units_of_the_first():
    keras.utils.set_random_seed(0)
    models = [
        vislearn.create_model(
            "deep_phurie", input_shape=(32, 32, 1), num_classes=2, filters=(4, 8), units=8
        )
        for _ in range(2)
    ]
    means, deviations = np.array([[1.0, -5.0], [3.0, 2.0]]), np.array([[2.0, 1.0], [4.0, 0.5]])
    model = average_values(models, means, deviations)
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 1)).astype("float32")
    each = [
        outputs(one, images) * deviation + mean
        for one, mean, deviation in zip(models, means, deviations, strict=True)
    ]
    found = outputs(model, images) * deviations[0] + means[0]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-5, atol=1e-5)


def test_wrong_members():
    models = members()
    with pytest.raises(ValueError, match="at least two"):
        average(models[:1])
    sure = vislearn.create_model(
        "rvss_convnet", input_shape=SHAPE, num_classes=5, classifier_activation="softmax"
    )
    with pytest.raises(ValueError, match="ends in softmax"):
        average([models[0], sure])
    other = vislearn.create_model("rvss_convnet", input_shape=SHAPE, num_classes=4)
    with pytest.raises(ValueError, match="output_shapes"):
        average([models[0], other])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs on digits that differ in seed and architecture."""
    from vislearn.training import train

    folder = tmp_path_factory.mktemp("runs")
    return [
        train(name, data="digits", out=folder / name, epochs=2, seed=seed, quiet=True).folder
        for seed, name in enumerate(("linear_classifier", "mlp"))
    ]


@pytest.mark.tensorflow
def test_ensemble_of_runs_is_a_run_that_exports(runs, tmp_path):
    from vislearn.commands import export_run
    from vislearn.export import read_manifest
    from vislearn.selection import ensemble
    from vislearn.training import Run

    metrics = ensemble(runs, out=tmp_path / "both", quiet=True)
    assert [*metrics] == [*map(str, runs), "ensemble"]
    for folder in runs:
        assert metrics[str(folder)] == Run.open(folder).metrics()
    run = Run.open(tmp_path / "both")
    assert run.metrics() == metrics["ensemble"]
    assert json.loads((run.folder / "members.json").read_text()) == metrics
    assert (run.folder / "members.png").stat().st_size > 5000

    (report,) = export_run(run.folder, tmp_path / "package", quantize=None)
    assert read_manifest(tmp_path / "package")["training"]["members"] == [*map(str, runs)]
    assert [row.format for row in report.rows] == ["savedmodel", "litert", "onnx"]
    for row in report.rows:
        assert row.agreement == 1.0 and row.metrics == pytest.approx(
            metrics["ensemble"]["validation"]
        )


@pytest.mark.tensorflow
def test_runs_that_do_not_fit_together(runs, tmp_path):
    from vislearn.selection import ensemble

    with pytest.raises(ValueError, match="at least two"):
        ensemble(runs[:1], out=tmp_path / "one")
    with pytest.raises(ValueError, match="twice"):
        ensemble([*runs, f"{runs[0]}/../{runs[0].name}"], out=tmp_path / "one")
    with pytest.raises(FileNotFoundError, match="no training run"):
        ensemble([runs[0], tmp_path], out=tmp_path / "one")
    with pytest.raises(FileExistsError, match="exists already"):
        ensemble(runs, out=tmp_path)


@pytest.mark.tensorflow
def test_conformal_of_a_run(runs):
    from vislearn.data import load_dataset
    from vislearn.selection import conformal

    found = conformal(runs[1], coverage=0.9, method="lac")
    data = load_dataset("digits", image_size=8)
    assert found["images"] == data.info.counts["validation"]
    assert found["test"]["images"] == data.info.counts["test"]
    # 360 test images after 180 of calibration: three standard errors of both together.
    assert abs(found["test"]["coverage"] - 0.9) < 0.09
    assert 0.8 < found["test"]["mean_size"] < 5
    assert json.loads((runs[1] / "conformal_lac.json").read_text()) == found
    assert (runs[1] / "conformal_lac.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="calibration images"):
        conformal(runs[1], coverage=0.999)
