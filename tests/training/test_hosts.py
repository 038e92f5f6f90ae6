"""`vislearn train --hosts`: two hosts train as two devices do, one dies, and both go on."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_distribution import free_port

# Its processes run on JAX, and read their data with TensorFlow, whichever this one runs on.
pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

ARGUMENTS = [
    *("mlp", "--data", "digits", "--augment", "none", "--epochs", "12", "--patience", "99"),
    *("--batch-size", "64"),
]


def start(out: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "vislearn.cli", "train", *ARGUMENTS, "--out", str(out), *more]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        text=True,
    )


def both(out: Path, *more: str) -> list[subprocess.Popen]:
    place = ("--hosts", f"127.0.0.1:{free_port()}", "--host-count", "2")
    return [start(out, *place, "--host-index", str(index), *more) for index in range(2)]


def finish(processes: list[subprocess.Popen]) -> list[str]:
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-4000:]
    return outputs


def rows(run: Path) -> list[dict[str, str]]:
    path = run / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [*csv.DictReader(file)]


def wait_for(epochs: int, run: Path, first: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while len(rows(run)) < epochs:
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_host_dies_and_the_run_goes_on(tmp_path):
    out = tmp_path / "hosts"
    first, second = both(out)
    try:
        wait_for(2, out, first)
    finally:
        second.kill()
    output = first.communicate(timeout=120)[0]
    second.communicate()
    assert first.returncode == 1, output[-4000:]
    assert "Another of the 2 hosts has died" in output
    assert "--resume" in output and "Traceback" not in output and "Check failure" not in output
    done = len(rows(out))
    assert 2 <= done < 12

    outputs = finish(both(out, "--resume"))
    assert f"going on after epoch {done}" in outputs[0]
    assert "2 devices of 2 hosts" in outputs[0]
    finish([start(tmp_path / "devices", "--devices", "2")])
    found, expected = rows(out), rows(tmp_path / "devices")
    assert len(found) == len(expected) == 12
    for name in ("loss", "val_loss"):
        losses = [[float(row[name]) for row in table] for table in (found, expected)]
        # float32: the order of a sum is another one, and rounding grows from step to step.
        np.testing.assert_allclose(*losses, rtol=1e-3, err_msg=name)
    assert (out / "report.html").is_file()
