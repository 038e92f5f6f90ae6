"""Rung: a saved model loads in a fresh process, in safe mode and without `custom_objects`."""

import subprocess
import sys
from pathlib import Path

import pytest
from rungs import (
    NETWORKS,
    assert_same,
    every_model,
    inputs,
    load_arrays,
    outputs,
    random_tiny,
    representative,
    save_arrays,
)

# In one process, so that the other one is started once.
pytestmark = pytest.mark.xdist_group("saved")


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """The answers of all networks after one process has loaded them all."""
    folder = tmp_path_factory.mktemp("saved")
    for name in NETWORKS:
        model = random_tiny(name)
        model.save(folder / f"{name}.keras")
        save_arrays(folder / f"{name}.npz", inputs(model))
    script = Path(__file__).with_name("fresh_process.py")
    subprocess.run([sys.executable, script, "load", folder], check=True)
    return {name: load_arrays(folder / f"{name}.answers.npz") for name in NETWORKS}


@every_model
def test_same_answer(name, reloaded):
    network = representative(name)
    model = random_tiny(network)
    assert_same(reloaded[network], outputs(model, inputs(model)), tolerance=1e-6)
