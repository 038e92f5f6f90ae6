"""One of each kind of work, from training to pictures; and resumed, it ends bit for bit alike."""

import json

import numpy as np
import pytest
from PIL import Image

from vislearn import commands
from vislearn.data import shapes
from vislearn.export.generation import package_pictures
from vislearn.training import callbacks
from vislearn.training.fitting import train
from vislearn.training.run import Run

# In one process, so that each network is trained and exported once.
pytestmark = pytest.mark.tensorflow

COUNTS = (("train", 32), ("validation", 8), ("test", 8))
TINY = shapes.ShapesConfig("tiny", size=32, objects=(1, 2), radius=(0.2, 0.4), counts=COUNTS)

# By model, the further arguments of `train`.
KINDS = {
    "unet": {"options": {"filters": 4, "depth": 2, "padding": "same", "norm": "batch"}},
    "retinanet": {
        "options": {
            "backbone_options": {"width": 8, "repeats": [1, 1, 1, 1]},
            "fpn_channels": 8,
            "head_depth": 1,
            "extra_levels": 0,
            "norm": "batch",
        },
        "task_options": {"max_detections": 10},
    },
    "conv_vae": {"options": {"width": 4, "hidden": 16, "latent": 4}},
    "dcgan": {"options": {"width": 4, "latent": 4}},
    "ddpm": {
        "options": {
            "filters": 8,
            "multipliers": [1, 2],
            "blocks": 1,
            "attention": [16],
            "groups": 4,
        },
        "task_options": {"train_steps": 20, "steps": 4},
    },
}
# What draws pictures, and so averages weights and keeps a state of the noise.
GENERATORS = ("conv_vae", "dcgan", "ddpm")


def start(kind, out, **more):
    arguments = {"data": "shapes/tiny", "epochs": 2, "batch_size": 8, "seed": 1, "ema": 0.9}
    return train(kind, out=out, quiet=True, **{**arguments, **KINDS[kind], **more})


@pytest.fixture(scope="module", autouse=True)
def tiny_shapes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(shapes.CONFIGS, "tiny", TINY)
        yield


@pytest.fixture(
    scope="module",
    params=[
        # Minutes: a U-Net with attention whose samples take many steps, and a detector.
        pytest.param(kind, marks=pytest.mark.slow) if kind in ("ddpm", "retinanet") else kind
        for kind in KINDS
    ],
)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def run(kind, tmp_path_factory):
    """A whole run of two epochs."""
    return start(kind, tmp_path_factory.mktemp(kind) / "run")


@pytest.fixture(scope="module")
def package(run):
    """Its export, as LiteRT."""
    folder = run.folder / "package"
    commands.export_run(run.folder, folder, formats=("litert",), quantize=None, samples=8)
    return folder


def state(run: Run):
    with (
        np.load(callbacks.state_path(run.folder)) as last,
        np.load(callbacks.best_path(run.folder)) as best,
    ):
        found = {f"last/{name}": last[name] for name in last.files if name != "meta"}
        return {**found, **{f"best/{name}": best[name] for name in best.files}}


def test_a_run_leaves_what_it_promises(run, kind):
    names = {path.name for path in run.folder.iterdir()}
    assert {"config.json", "history.csv", "model.keras", "metrics.json", "report.html"} <= names
    assert ("samples" in names) == (kind in GENERATORS)
    if kind in GENERATORS:
        assert [file.name for file in sorted((run.folder / "samples").iterdir())] == [
            "epoch_0001.png",
            "epoch_0002.png",
        ]
    history = run.history()
    assert len(history) == 2
    assert all(np.isfinite(list(row.values())).all() for row in history)
    if run.task().takes_images:
        assert run.metrics()["test"]
        assert all(np.isfinite(list(run.metrics()["test"].values())))
    text = (run.folder / "report.html").read_text()
    assert "Curves" in text
    assert text.count('class="figure"') >= 1


def test_resumed_it_equals_an_unbroken_one(run, kind, tmp_path, monkeypatch):
    keep = callbacks.Bookkeeper.on_epoch_end

    def interrupted(self, epoch, logs=None):
        keep(self, epoch, logs)
        if epoch == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Bookkeeper, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start(kind, tmp_path / "run")
    halfway = state(Run.open(tmp_path / "run"))
    resumed, whole = state(start(kind, tmp_path / "run", resume=True)), state(run)
    assert resumed.keys() == whole.keys()
    assert [name for name in whole if not np.array_equal(whole[name], resumed[name])] == []
    assert any(not np.array_equal(whole[name], halfway[name]) for name in whole)


def test_evaluates_as_keras_and_as_a_file(run, package, kind):
    if not run.task().takes_images:
        with pytest.raises(ValueError, match="--judge"):
            commands.evaluate_targets([run.folder], "shapes/tiny")
        return
    if kind == "conv_vae":
        with pytest.raises(ValueError, match="answers with codes"):
            commands.evaluate_targets([package / "encoder"], "shapes/tiny")
        (keras,) = commands.evaluate_targets([run.folder], "shapes/tiny")
        assert keras["metrics"] == pytest.approx(run.metrics()["test"], rel=1e-3)
        return
    keras, litert = commands.evaluate_targets([run.folder, package], "shapes/tiny")
    assert (keras["format"], litert["format"]) == ("keras", "litert")
    assert keras["metrics"] == pytest.approx(litert["metrics"], abs=1e-3)
    assert keras["metrics"] == pytest.approx(run.metrics()["test"], abs=1e-3)


def test_predicts_and_draws(run, package, kind, tmp_path, capsys):
    out = tmp_path / "answers.png"
    if kind == "conv_vae":
        with pytest.raises(ValueError, match="answers with codes"):
            commands.predict_images(package / "encoder", [], data="shapes/tiny", count=1, out=out)
        return
    if kind in GENERATORS:
        with pytest.raises(ValueError, match=r"vislearn generate|name one of .*sampler"):
            commands.predict_images(package, [], data="shapes/tiny", count=1, out=out)
        return
    commands.predict_images(package, [], data="shapes/tiny", count=3, out=out, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["image"] for line in lines] == [f"shapes/tiny test {n}" for n in range(3)]
    with Image.open(out) as picture:
        assert min(picture.size) > 100


def test_generates(package, kind, tmp_path):
    if kind not in GENERATORS:
        with pytest.raises(ValueError, match="makes no pictures"):
            package_pictures(package, count=3)
        return
    first = package_pictures(package, count=5, seed=3, batch_size=2)
    assert first.shape == (5, 32, 32, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, package_pictures(package, count=5, seed=3))
    assert not np.array_equal(first, package_pictures(package, count=5, seed=4))
