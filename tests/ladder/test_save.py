"""Rung: a saved model loads in a fresh process, in safe mode and without `custom_objects`."""

import subprocess
import sys
from pathlib import Path

import pytest
from rungs import (
    MODELS,
    TRAINED,
    assert_same,
    each_in_turn,
    inputs,
    load_arrays,
    outputs,
    random_tiny,
    representative,
    save_arrays,
    selected,
)


@pytest.fixture(scope="module")
def reloaded(request, tmp_path_factory):
    """The answers of the networks after one process has loaded them all."""
    networks = selected(request)
    folder = tmp_path_factory.mktemp("saved")
    for name in networks:
        model = random_tiny(name)
        model.save(folder / f"{name}.keras")
        save_arrays(folder / f"{name}.npz", inputs(model))
    script = Path(__file__).with_name("fresh_process.py")
    subprocess.run([sys.executable, script, "load", folder], check=True)
    return {name: load_arrays(folder / f"{name}.answers.npz") for name in networks}


@each_in_turn(MODELS, TRAINED)
def test_same_answer(name, reloaded):
    network = representative(name)
    model = random_tiny(network)
    assert_same(reloaded[network], outputs(model, inputs(model)), tolerance=1e-6)
