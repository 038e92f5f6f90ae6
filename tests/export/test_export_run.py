"""Exports of a run with several packages: what is asked for reaches each of them, or is refused."""

import types

import numpy as np
import pytest

import vislearn
from vislearn import commands
from vislearn.tasks import get_task
from vislearn.training.recipes import Recipe

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def run(monkeypatch):
    """An autoencoder that stands in for a training run."""
    from vislearn import training
    from vislearn.training import repeating

    model = vislearn.create_model("vae", **vislearn.model_info("vae").tiny)
    images = np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:]), "uint8")
    config = types.SimpleNamespace(
        model="vae",
        options={"latent": 4},
        classes=(),
        recipe=Recipe(),
        precision="float32",
        seed=0,
        members=(),
        data_options={"resize": "crop"},
    )
    data = types.SimpleNamespace(
        info=types.SimpleNamespace(classes=(), source="noise", counts={"train": 8}),
        arrays=lambda split, limit=None: {"images": images},
    )
    run = types.SimpleNamespace(
        folder="run",
        config=config,
        model=lambda: model,
        data=lambda: data,
        task=lambda: get_task("generation", (), "vae"),
        metrics=dict,
    )
    monkeypatch.setattr(training, "Run", types.SimpleNamespace(open=lambda folder: run))
    monkeypatch.setattr(repeating, "repeat_command", lambda config, folder: "vislearn train vae")
    return model


def test_every_package_has_what_was_asked_for(run, tmp_path):
    layers = [layer.name for layer in run.layers if layer.name.startswith("decoder")]
    reports = commands.export_run(
        "run",
        tmp_path / "p",
        formats=["litert"],
        quantize=["int8"],
        keep_float=["encoder_*", layers[-1]],
        budget=0.9,
    )
    assert [[row.format for row in report.rows] for report in reports] == [
        ["litert", "litert_int8"],
        ["litert", "litert_int8"],
    ]
    kept = {}
    for name in ("encoder", "decoder"):
        manifest = vislearn.export.read_manifest(tmp_path / "p" / name)
        kept[name] = manifest["keep_float"]
        assert manifest["training"]["options"] == {"latent": 4}
    assert kept["decoder"] == [layers[-1]]
    assert kept["encoder"] and all(layer.startswith("encoder_") for layer in kept["encoder"])


def test_a_layer_that_none_has_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match=r"keep_float='x\*' is no layer"):
        commands.export_run("run", tmp_path / "p", formats=["litert"], keep_float=["x*"])


def test_the_budget_holds_for_codes_and_pictures(run, tmp_path):
    with pytest.raises(vislearn.export.ExportError, match=r"mean_difference .* budget=0 allows"):
        commands.export_run(
            "run", tmp_path / "p", formats=["litert"], quantize="dynamic", budget=0.0
        )
