"""Transfer learning through a run: what is trained, what stays, and that it pays."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.training import Recipe, train
from vislearn.training.run import Run
from vislearn.training.tuning import Tuning

NET = {"options": {"depth": 8, "width": 8}, "quiet": True}


@pytest.fixture(scope="module")
def first(tmp_path_factory, digits_folder):
    """A run on the digits 0 to 4."""
    out = tmp_path_factory.mktemp("first") / "run"
    return train("resnet20_cifar", data=digits_folder(range(5)), out=out, epochs=6, **NET)


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory):
    """Writes digits of the given classes as a folder of class folders, few to train on."""
    from PIL import Image
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels.reshape(-1, 8, 8) * (255 / 16)).astype("uint8")

    def write(classes, count: int = 100):
        folder = tmp_path_factory.mktemp("digits")
        for split, part in (("train", slice(0, count)), ("test", slice(-60, None))):
            for label in classes:
                target = folder / split / str(label)
                target.mkdir(parents=True)
                for number, image in enumerate(pixels[labels == label][part]):
                    Image.fromarray(image.repeat(2, 0).repeat(2, 1)).save(target / f"{number}.png")
        return folder

    return write


def weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def changed(before: keras.Model, after: keras.Model) -> set[str]:
    """The layers whose weights differ, but for the head."""
    old, new = weights(before), weights(after)
    return {
        name
        for name in new
        if name != "head" and any(np.any(a != b) for a, b in zip(old[name], new[name], strict=True))
    }


@pytest.fixture(scope="module")
def tuned(first, digits_folder, tmp_path_factory):
    """Runs on ten images each of the digits 5 to 9, by what is tuned."""
    data, found = digits_folder(range(5, 10), count=10), {}

    def tune(how: str, **recipe) -> Run:
        if how not in found:
            out = tmp_path_factory.mktemp("tuned") / "run"
            found[how] = train(
                "resnet20_cifar", data=data, out=out, weights=str(first.folder), tune=how,
                **recipe, **NET,
            )  # fmt: skip
        return found[how]

    return tune


def test_head(first, tuned):
    run = tuned("head")
    assert changed(first.model(), run.model()) == set()
    assert run.metrics()["test"]["accuracy"] > 0.4
    assert len(run.history()) == 100
    # The answers of the whole network are those of the head on the features it learned from.
    assert run.history()[-1]["accuracy"] > 0.8


def test_stages(first, tuned):
    run = tuned("stages:1", epochs=3)
    moved = changed(first.model(), run.model())
    assert moved
    assert {name.split("_")[0] for name in moved} == {"stage3"}


def test_all(first, tuned):
    run = tuned("all", epochs=3)
    assert run.config.recipe.layer_decay == 0.7
    moved = {name.split("_")[0] for name in changed(first.model(), run.model())}
    assert moved == {"stem", "stage1", "stage2", "stage3"}


def test_resumes_as_it_began(tuned, first, digits_folder, tmp_path):
    """Features and their order are the same again."""
    options = {"data": digits_folder(range(5, 10), count=5), "weights": str(first.folder)}
    options |= {"tune": "head", "epochs": 4, **NET}
    whole = train("resnet20_cifar", out=tmp_path / "whole", **options)
    broken = train("resnet20_cifar", out=tmp_path / "broken", **options)
    (broken.folder / "model.keras").unlink()
    again = train("resnet20_cifar", out=broken.folder, resume=True, **options)
    for one, two in zip(whole.model().get_weights(), again.model().get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_adapters(digits_folder, tmp_path):
    net = {"options": {"repeats": [1, 1], "width": 8}, "quiet": True}
    options = {"epochs": 1, "image_size": 16, **net}
    data = digits_folder(range(2), count=20)
    first = train("residual_adapter_resnet26", data=data, out=tmp_path / "a", **options)
    second = train(
        "residual_adapter_resnet26",
        data=digits_folder(range(2, 5), count=20),
        out=tmp_path / "b",
        weights=str(first.folder),
        tune="adapters",
        **options,
    )
    moved = changed(first.model(), second.model())
    assert moved
    assert all("_adapter" in name for name in moved)


def test_published_weights_take_colour(monkeypatch, tmp_path):
    """Also where all pictures are grey."""

    def load(source, **options):
        raise RuntimeError(f"{options['channels']} channels")

    monkeypatch.setattr("vislearn.training.preparation.load_dataset", load)
    with pytest.raises(RuntimeError, match="3 channels"):
        train("resnet18", data="digits", out=tmp_path / "run", weights="imagenet", quiet=True)


def test_recipes():
    usual = Recipe(learning_rate=0.2)
    assert Tuning.parse("stages:2").recipe(usual).learning_rate == pytest.approx(0.02)
    assert Tuning.parse("all").recipe(usual).layer_decay < 1
    assert Tuning.parse("head").recipe(usual).augment == "none"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tune": "heads", "weights": "imagenet"}, "tune='heads' must be head, stages:N, all"),
        ({"tune": "stages:", "weights": "imagenet"}, "tune='stages:' must be"),
        ({"tune": "head"}, "tune='head' needs weights"),
        ({"weights": "imagenet"}, "resnet20_cifar has no published weights"),
    ],
)
def test_errors(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        train("resnet20_cifar", data="digits", out=tmp_path / "run", quiet=True, **options)


@pytest.mark.parametrize(
    ("tune", "message"),
    [("stages:9", "stages=9"), ("adapters", "resnet20_cifar has none")],
)
def test_what_a_network_does_not_have(tune, message):
    network = vislearn.create_model("resnet20_cifar", depth=8, width=4)
    with pytest.raises(ValueError, match=message):
        Tuning.parse(tune).apply(network)


@pytest.mark.parametrize(
    ("name", "options"), [("resnet20_cifar", {"depth": 8}), ("vit_tiny_patch16", {"depth": 1})]
)
def test_norms(name, options):
    network = vislearn.create_model(name, **options)
    Tuning.parse("norms").apply(network)
    names = {weight.name for weight in network.trainable_weights}
    assert names == {"gamma", "beta"}
    with pytest.raises(ValueError, match="cifar_cnn has no normalisation"):
        Tuning.parse("norms").apply(vislearn.create_model("cifar_cnn"))
