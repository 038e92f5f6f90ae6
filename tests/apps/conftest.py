"""Packages, made once for the tests of the apps, and a server of them."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Two untrained classifiers of 8 x 8 grey pictures, `first` and `second`, and a generator."""
    import keras
    from serving import CLASSES

    import vislearn
    from vislearn.tasks import Classification, get_task

    folder = tmp_path_factory.mktemp("packages")
    keras.utils.set_random_seed(0)
    for name in ("first", "second"):
        network = vislearn.create_model(
            "resnet20_cifar", input_shape=(8, 8, 1), num_classes=5, depth=8
        )
        task = Classification(CLASSES)
        vislearn.export_model(network, folder / name, task=task, formats=("litert",))
    generator = vislearn.create_model("dcgan", **vislearn.model_info("dcgan").tiny)
    task = get_task("generation", (), "gan")
    vislearn.export_model(generator, folder / "maker", task=task, formats=("litert",))
    return folder


@pytest.fixture(scope="module")
def client(exported, tmp_path_factory):
    """A server of `letters` in the versions 1 and 2, and of a generator."""
    from serving import running

    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "first", folder / "letters" / "1")
    shutil.copytree(exported / "second", folder / "letters" / "2")
    shutil.copytree(exported / "maker", folder / "maker")
    with running(folder) as client:
        yield client


@pytest.fixture
def slow(monkeypatch):
    """Models that wait for `slow.go` once `slow.slow` is set."""
    from serving import Slow

    from vislearn.export import runtimes

    monkeypatch.setitem(runtimes.RUNTIMES, "litert", Slow)
    Slow.slow, Slow.calls = False, 0
    Slow.go.clear()
    yield Slow
    Slow.go.set()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def expected(exported, pixels):
    """The answers of both versions."""
    import vislearn

    return {
        version: vislearn.load_predictor(exported / name).predict(pixels)
        for version, name in (("1", "first"), ("2", "second"))
    }


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A small untrained classifier of 16-pixel colour images."""
    import vislearn
    from vislearn.tasks import Classification

    directory = tmp_path_factory.mktemp("package") / "letters"
    tiny = vislearn.model_info("resnet20_cifar").tiny
    model = vislearn.create_model("resnet20_cifar", **tiny)
    vislearn.export_model(model, directory, task=Classification(tuple("abcde")), formats=["litert"])
    return directory


@pytest.fixture(scope="session")
def edge():
    """The program for devices as a module."""
    path = Path(__file__).parents[2] / "apps" / "edge" / "vislearn_edge.py"
    spec = importlib.util.spec_from_file_location("vislearn_edge", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
