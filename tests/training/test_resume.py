"""A run that was killed and resumed ends where an unbroken one ends, bit for bit."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vislearn.training.callbacks import Bookkeeper, best_path, state_path
from vislearn.training.fitting import train
from vislearn.training.run import Run, differences

pytestmark = pytest.mark.tensorflow

EPOCHS = 3
# Everything that draws numbers: shuffling, augmentation, stochastic depth, mixed precision.
ARGUMENTS = [
    *("resnet20_cifar", "--data", "digits", "--augment", "crop", "--precision", "mixed_bfloat16"),
    *("--epochs", str(EPOCHS), "--batch-size", "32", "--seed", "3"),
    *("--option", "depth=8", "--option", "width=8", "--option", "drop_path_rate=0.3"),
]


def start(out: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "vislearn.cli", "train", *ARGUMENTS, "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def epochs_done(run: Path) -> int:
    history = run / "history.csv"
    return len(history.read_text().splitlines()) - 1 if history.exists() else 0


def epochs_saved(run: Path) -> int:
    if not state_path(run).exists():
        return 0
    with np.load(state_path(run)) as state:
        return len(json.loads(state["meta"].tobytes())["history"])


def kill_somewhere_after(epochs: int, run: Path, process: subprocess.Popen, draw) -> None:
    """Sends SIGKILL at a random moment of the epoch after `epochs` whole ones."""
    while epochs_done(run) < epochs:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    time.sleep(draw.uniform(0, 1.0))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


def test_killed_and_resumed_equals_unbroken(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(start(whole))

    seed = time.time_ns()
    draw = random.Random(seed)
    kill_somewhere_after(1, broken, start(broken), draw)
    # The state is written after the line in history.csv: it may be an epoch behind.
    done = epochs_saved(broken)
    assert epochs_done(broken) - done in (0, 1), f"{seed=}"
    output = finish(start(broken, "--resume"))
    assert not done or f"going on after epoch {done}" in output, f"{seed=}"

    with np.load(state_path(whole)) as a, np.load(state_path(broken)) as b:
        assert sorted(a.files) == sorted(b.files)
        for name in set(a.files) - {"meta"}:
            np.testing.assert_array_equal(a[name], b[name], err_msg=f"{name}, {seed=}")
    assert epochs_done(whole) == epochs_done(broken) == EPOCHS
    assert best_path(whole).exists() and best_path(broken).exists()

    import vislearn.training

    first, second = (vislearn.training.Run.open(folder) for folder in (whole, broken))
    assert first.metrics() == second.metrics()
    for one, two in zip(first.model().weights, second.model().weights, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=f"{one.path}, {seed=}")


def test_resume_refuses_another_run(tmp_path):
    run = tmp_path / "run"
    process = start(run)
    while not (run / "config.json").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.kill()
    process.communicate()
    other = start(run, "--resume", "--learning-rate", "0.5")
    output, _ = other.communicate(timeout=120)
    assert other.returncode == 1
    assert "learning_rate=" in output and ", not 0.5" in output and "resume" in output
    assert "epochs" not in output, "only what differs is named"


def test_differences_are_named_alone():
    before = {"seed": 0, "recipe": {"epochs": 2, "ema": 0.9}, "options": {"depth": 8}}
    now = {"seed": 1, "recipe": {"epochs": 3, "ema": 0.9}, "options": {"width": None}}
    assert differences(before, now) == (
        "seed=0, not 1; epochs=2, not 3; depth=8, which is not given now; no width=None"
    )


@pytest.mark.slow
def test_a_network_with_adaptive_clipping_resumes_exactly(tmp_path, monkeypatch):
    """NFNet with its own recipe."""

    def start(out, **more):
        options = {"filters": [16, 16], "repeats": [1, 1], "group_size": 8}
        return train(
            "nfnet_f0", data="digits", out=out, options=options, epochs=2, quiet=True, **more
        )

    def state(folder):
        with np.load(state_path(folder)) as file:
            return {name: file[name] for name in file.files if name != "meta"}

    keep = Bookkeeper.on_epoch_end

    def interrupted(self, epoch, logs=None):
        keep(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Bookkeeper, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "broken")
    halfway = state(tmp_path / "broken")
    assert Run.open(tmp_path / "broken").config.recipe.agc == 0.08
    start(tmp_path / "broken", resume=True)
    start(tmp_path / "whole")
    resumed, whole = state(tmp_path / "broken"), state(tmp_path / "whole")
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    assert any(not np.array_equal(halfway[name], value) for name, value in whole.items())
