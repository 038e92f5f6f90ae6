"""Training on several devices or hosts is training on one: losses, weights and metrics."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vislearn.data import load_dataset
from vislearn.training import distribution
from vislearn.training.distribution import Hosts, Replicas

# Starts processes on backends of its own, so that it is enough to run it on one.
pytestmark = pytest.mark.tensorflow

SCRIPT = Path(__file__).with_name("replicas.py")
every_way = pytest.mark.parametrize("way", ["tensorflow", "jax", "jax_hosts"])
# Half a minute each, of which hosts are the most that can go wrong.
hosts_in_turn = pytest.mark.parametrize(
    "way",
    [*(pytest.param(way, marks=pytest.mark.slow) for way in ("tensorflow", "jax")), "jax_hosts"],
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def trained(way: str, network: str, folder: Path, seconds: int) -> list[dict[str, np.ndarray]]:
    """Losses and weights of one device, and of each process that trains on its part of two."""
    backend = way.partition("_")[0]
    outs = [folder / f"{name}.npz" for name in ("one", "two", "other")]
    places = [["1"], ["2"]]
    if way == "jax_hosts":
        address = f"127.0.0.1:{free_port()}"
        places[1:] = [["1", address, str(index), "2"] for index in range(2)]
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(out), network, str(folder / "data.npz"), *place],
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for out, place in zip(outs, places, strict=False)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=seconds)
        assert process.returncode == 0, errors[-4000:]
    found = [dict(np.load(out)) for out in outs if out.exists()]
    assert len(found) == len(processes)
    return found


@hosts_in_turn
def test_a_small_network_is_the_same(way, tmp_path):
    """With batch normalisation, clipping, and a validation batch that nobody can divide."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(145, 6, 6, 3))
    np.savez(tmp_path / "data.npz", x=x, y=rng.integers(0, 4, len(x)).astype("int32"))
    one, *others = trained(way, "small", tmp_path, seconds=300)
    for other in others:
        for name, value in one.items():
            np.testing.assert_allclose(other[name], value, atol=1e-6, err_msg=name)


@pytest.mark.slow
@every_way
def test_pixels_count_alike_on_every_device(way, tmp_path):
    """The losses of a segmenter are no means over images: some have few pixels that count."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(145, 6, 6, 3))
    masks = rng.integers(0, 4, (len(x), 6, 6)).astype("int32")
    masks[
        rng.random(masks.shape) < np.linspace(0.1, 0.95, 12)[np.arange(len(x)) % 12, None, None]
    ] = 255
    np.savez(tmp_path / "data.npz", x=x, y=masks)
    one, *others = trained(way, "pixels", tmp_path, seconds=300)
    for other in others:
        for name, value in one.items():
            # The losses are taken in float32.
            np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
@every_way
def test_resnet20_is_the_same(way, cifar10, tmp_path):
    """Twenty steps on CIFAR-10."""
    data = load_dataset(cifar10, quiet=True).arrays("train", limit=20 * 16)
    # They come sorted: with batches of one class the loss leaps.
    order = np.random.default_rng(0).permutation(20 * 16)
    np.savez(tmp_path / "data.npz", x=data["images"][order], y=data["labels"][order])
    one, *others = trained(way, "resnet20_cifar", tmp_path, seconds=1200)
    assert len(one["loss"]) == 20
    assert one["loss"].std() > 0.01
    for other in others:
        np.testing.assert_allclose(other["loss"], one["loss"], rtol=1e-5)


def test_where_a_host_stands(monkeypatch):
    for name in distribution.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    assert Hosts.given() is None
    assert Hosts.given("a:1", 0, 2) == Hosts("a:1", 0, 2)
    for name, value in zip(distribution.ENVIRONMENT, ("a:1,b:2", "1", "2"), strict=True):
        monkeypatch.setenv(name, value)
    assert Hosts.given() == Hosts("a:1", 1, 2)
    assert Hosts.given(index=0) == Hosts("a:1", 0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", 0, 2), "hosts='a' must have the form HOST:PORT"),
        (("a:1", 2, 2), "host_index=2 must be 0 to 1"),
        (("a:1", 0, 0), "host_count=0 must be at least 1"),
        (("a:1", 0, None), r"\['host_count'\] must be given, too"),
    ],
)
def test_hosts_that_cannot_be(arguments, message, monkeypatch):
    for name in distribution.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=message):
        Hosts.given(*arguments)


def test_tensorflow_trains_on_one_host():
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        distribution.start(hosts=Hosts("127.0.0.1:1", 0, 2))


def test_devices_that_are_not_there():
    with pytest.raises(ValueError, match="devices=99 must be 1 to "):
        Replicas(99)
