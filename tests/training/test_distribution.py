"""A run on several devices or hosts is the run on one: losses after each step, weights, metrics."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vislearn.training import Run, callbacks, distribution
from vislearn.training.distribution import Hosts, Replicas

# Starts processes on backends of its own, so that it is enough to run it on one.
pytestmark = pytest.mark.tensorflow

SCRIPT = Path(__file__).with_name("recorded_run.py")
STEPS = 20
# 1,259 training images make 20 batches of 60, and 179 to validate end in one that is odd.
RESNET20 = (
    *("resnet20_cifar", "--data", "digits", "--image-size", "32", "--batch-size", "60"),
    *("--epochs", "1", "--learning-rate", "0.05", "--recipe", "clip_norm=1", "--seed", "1"),
)
SMALL = (*RESNET20, "--option", "depth=8", "--option", "width=8")


def start(out: Path, backend: str, *arguments) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), f"{out}.json", *arguments, "--out", str(out)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    with open(f"{out}.log", "w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def finish(process: subprocess.Popen, out: Path) -> Path:
    code = process.wait(timeout=580)
    assert code == 0, Path(f"{out}.log").read_text()[-4000:]
    return out


def run(out: Path, backend: str, *arguments) -> Path:
    return finish(start(out, backend, *arguments), out)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def hosts(port: int, index: int) -> tuple[str, ...]:
    return "--hosts", f"127.0.0.1:{port}", "--host-index", str(index), "--host-count", "2"


def on_two_hosts(folder: Path, name: str, *arguments) -> list[tuple[subprocess.Popen, Path]]:
    port = free_port()
    outs = [folder / f"{name}{index}" for index in range(2)]
    return [
        (start(out, "jax", *arguments, *hosts(port, index)), out) for index, out in enumerate(outs)
    ]


def losses(out: Path) -> list[float]:
    return json.loads(Path(f"{out}.json").read_text())


def states(out: Path) -> dict[str, np.ndarray]:
    with np.load(callbacks.state_path(out)) as file:
        return {name: file[name] for name in file.files if name != "meta"}


def assert_equal(first: Path, second: Path, tolerance: float) -> None:
    assert len(losses(first)) == STEPS
    np.testing.assert_allclose(losses(first), losses(second), rtol=tolerance)
    one, two = states(first), states(second)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, two[name], atol=tolerance, rtol=1e-3, err_msg=name)
    for one, two in zip(Run.open(first).history(), Run.open(second).history(), strict=True):
        assert one["val_loss"] == pytest.approx(two["val_loss"], rel=1e-3)


def small(out: Path, backend: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT.with_name("small_replicas.py")), str(out), *arguments]
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


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_resnet20_is_the_same_after_20_steps(backend, tmp_path):
    one = run(tmp_path / "one", backend, *RESNET20)
    two = run(tmp_path / "two", backend, *RESNET20, "--devices", "2")
    assert_equal(one, two, 1e-5)
    if backend == "jax":
        for process, out in (pair := on_two_hosts(tmp_path, "host", *RESNET20)):
            finish(process, out)
        assert_equal(one, pair[0][1], 1e-5)
        assert losses(pair[0][1]) == losses(pair[1][1])
        assert not pair[1][1].exists(), "the first host alone writes"


@pytest.mark.slow
def test_a_host_that_dies_ends_the_other_and_they_resume(tmp_path):
    arguments = [*SMALL, "--epochs", "3"]
    whole = on_two_hosts(tmp_path, "whole", *arguments)
    for process, out in whole:
        finish(process, out)
    (first, out), (second, _) = on_two_hosts(tmp_path, "broken", *arguments)
    while not callbacks.state_path(out).exists():
        assert first.poll() is None, Path(f"{out}.log").read_text()[-4000:]
        time.sleep(0.05)
    second.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    assert first.wait(timeout=distribution.HEARTBEAT + 60) != 0
    assert time.monotonic() - killed < distribution.HEARTBEAT + 30
    text = Path(f"{out}.log").read_text()
    assert "--resume" in text or "another task died" in text
    assert len(Run.open(out).history()) < 3
    for process, folder in on_two_hosts(tmp_path, "broken", *arguments, "--resume"):
        finish(process, folder)
    expected, found = states(whole[0][1]), states(out)
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    assert Run.open(out).metrics() == Run.open(whole[0][1]).metrics()


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
