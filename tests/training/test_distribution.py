"""Training on several devices or hosts is training on one: losses, weights and metrics."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vislearn.training import distribution
from vislearn.training.distribution import Hosts, Replicas

# Starts processes on backends of its own, so that it is enough to run it on one.
pytestmark = pytest.mark.tensorflow

SCRIPT = Path(__file__).with_name("small_replicas.py")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def small(out: Path, backend: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), str(out), *arguments]
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True)


@pytest.mark.parametrize("way", ["tensorflow", "jax", "jax_hosts"])
def test_a_small_network_is_the_same(way, tmp_path):
    """With batch normalisation, clipping, and a validation batch that nobody can divide."""
    backend = way.partition("_")[0]
    outs = [tmp_path / f"{name}.npz" for name in ("one", "two", "other")]
    processes = [small(outs[0], backend, "1")]
    if way == "jax_hosts":
        address = f"127.0.0.1:{free_port()}"
        processes += [small(outs[i + 1], backend, "1", address, str(i), "2") for i in range(2)]
    else:
        processes.append(small(outs[1], backend, "2"))
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-4000:]
    found = [dict(np.load(out)) for out in outs if out.exists()]
    assert len(found) == len(processes)
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_allclose(other[name], value, atol=1e-6, err_msg=name)


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
