"""Learning without labels, as a run, and what it is worth."""

import json
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import vislearn
from vislearn import cli, commands
from vislearn.training import callbacks, pretrain, train

pytestmark = pytest.mark.tensorflow

PARTS = {"simclr": "nt_xent", "dino": "cross_entropy", "mae": "patch_mse"}
RESNET = {"options": {"depth": 8, "width": 8}, "quiet": True}
VIT = {"options": {"patch_size": 2, "dim": 16, "depth": 1, "num_heads": 2}, "quiet": True}
# Digits are small, and tell by where their parts are.
CROPS = {
    "fill": "nearest",
    "operations": [{"resized_crop": {"area": [0.4, 1.0]}}, {"contrast": {"amount": 0.4}}],
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of digits, with no folder for any class."""
    folder = tmp_path_factory.mktemp("photos")
    images = vislearn.load_dataset("digits", quiet=True).arrays("train", limit=120)["images"]
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{number:03}.png")
    return folder


# The methods differ in their objective alone, and in what of it has to be resumed: dino has an
# average and a centre. `test_command` runs another.
@pytest.fixture(scope="module", params=["simclr", "dino"])
def method(request):
    return request.param


def start(method: str, photos, out, **more):
    model, small = ("vit_tiny_patch16", VIT) if method == "mae" else ("resnet20_cifar", RESNET)
    arguments = {"epochs": 2, "batch_size": 16, "seed": 1, "ema": 0.9, **small, **more}
    return pretrain(model, data=photos, out=out, method=method, **arguments)


@pytest.fixture(scope="module")
def run(method, photos, tmp_path_factory):
    return start(method, photos, tmp_path_factory.mktemp(method) / "run")


def test_a_run_without_labels(run, method):
    names = {path.name for path in run.folder.iterdir()}
    assert {"config.json", "history.csv", "model.keras", "metrics.json", "report.html"} <= names
    assert "samples" not in names
    assert run.metrics() == {}
    history = run.history()
    assert len(history) == 2
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert {"loss", "val_loss", PARTS[method]} <= {*history[0]}
    assert run.config.classes == []
    assert run.task().method == method
    assert run.model().output_shape == (None, 16 if method == "mae" else 32)
    assert set(run.data().arrays("train")) == {"images"}
    with pytest.raises(ValueError, match="give it a head first"):
        commands.export_run(run.folder, run.folder / "package", formats=("litert",), quantize=None)
    with pytest.raises(ValueError, match="give it a head first"):
        commands.evaluate_targets([run.folder], run.config.data)


def test_a_network_with_a_head_starts_from_it(run, tmp_path):
    small = RESNET if run.config.model == "resnet20_cifar" else VIT
    found = train(
        run.config.model, data="digits", out=tmp_path / "probe", weights=str(run.folder),
        tune="head", epochs=1, **small,
    )  # fmt: skip
    assert set(found.metrics()) == {"validation", "test"}
    before = {layer.name: layer.get_weights() for layer in run.model().layers}
    for layer in found.model().layers:
        for old, new in zip(before.get(layer.name, ()), layer.get_weights(), strict=False):
            np.testing.assert_array_equal(old, new, err_msg=layer.name)


def test_resumed_it_equals_an_unbroken_one(run, method, photos, tmp_path, monkeypatch):
    keep = callbacks.Bookkeeper.on_epoch_end

    def interrupted(self, epoch, logs=None):
        keep(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Bookkeeper, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start(method, photos, tmp_path / "run")
    again = start(method, photos, tmp_path / "run", resume=True)
    with (
        np.load(callbacks.state_path(run.folder)) as expected,
        np.load(callbacks.state_path(again.folder)) as found,
    ):
        assert expected.files == found.files
        for name in expected.files:
            if name != "meta":
                np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("conv_vae", {}, "model='conv_vae' must be a classifier, and is for generation"),
        ("resnet20_cifar", {"method": "moco"}, "method='moco' must be one of"),
        ("resnet20_cifar", {"augment": "none"}, "views of a picture have to differ"),
        ("resnet20_cifar", {"augment": "strong"}, "augment='strong' must be one of"),
        ("resnet20_cifar", {"method": "mae"}, "method='mae': the blocks of resnet20_cifar"),
        ("resnet20_cifar", {"objective": {"temperature": -1}}, "temperature=-1 must be positive"),
        ("resnet20_cifar", {"objective": {"masked": 0.5}}, r"has no options \['masked'\]"),
    ],
)
def test_wrong_arguments_leave_no_folder(model, arguments, message, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=message):
        pretrain(model, data="digits", out=out, quiet=True, **arguments)
    assert not out.exists()


def test_command(photos, tmp_path, monkeypatch, capsys):
    words = [
        *("pretrain", "vit_tiny_patch16", "--method", "mae", "--data", photos, "--epochs", 1),
        *("--out", tmp_path / "run", "--objective", "masked=0.5", "--objective", "decoder_depth=1"),
        *("--recipe", "optimizer=adam", "--augment", "flip"),
        *(f"--option={name}={value}" for name, value in VIT["options"].items()),
    ]
    monkeypatch.setattr(sys, "argv", ["vislearn", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert "Run in" in capsys.readouterr().out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["task_options"] == {"method": "mae"}
    assert config["recipe"]["objective"] == {"masked": 0.5, "decoder_depth": 1}
    assert (config["recipe"]["augment"], config["recipe"]["optimizer"]) == ("flip", "adam")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["simclr", "dino"])
def test_a_linear_classifier_reads_more_from_it_than_from_random_weights(method, tmp_path):
    """The linear evaluation: the same head, on features that were learned without labels."""
    options = {"options": {"depth": 8, "width": 8}, "quiet": True}
    run = pretrain(
        "resnet20_cifar", data="digits", out=tmp_path / "features", epochs=40, augment=CROPS,
        method=method, **options,
    )  # fmt: skip
    keras.utils.set_random_seed(0)
    random = vislearn.create_model(
        "resnet20_cifar", input_shape=(8, 8, 1), num_classes=0, **options["options"]
    )
    random.save(tmp_path / "random.keras")
    accuracy = {}
    for weights in (run.folder, tmp_path / "random.keras"):
        probe = train(
            "resnet20_cifar", data="digits", out=tmp_path / f"{weights.stem}_probe",
            weights=str(weights), tune="head", **options,
        )  # fmt: skip
        accuracy[weights.stem] = probe.metrics()["test"]["accuracy"]
    assert accuracy["features"] > accuracy["random"] + 0.01
