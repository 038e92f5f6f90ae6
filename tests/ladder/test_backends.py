"""Rung: the JAX backend gives TensorFlow's answers, and needs no TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rungs import (
    MODELS,
    OTHERS,
    TYPICAL,
    assert_same,
    each_in_turn,
    inputs,
    load_arrays,
    losses_on_same_noise,
    outputs,
    random_tiny,
    representative,
    selected,
)

ON_JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def jax_answers(request, tmp_path_factory):
    """The answers and losses of the networks from one process on the JAX backend."""
    folder = tmp_path_factory.mktemp("jax")
    networks = selected(request)
    script = Path(__file__).with_name("fresh_process.py")
    command = [sys.executable, script, "forward", json.dumps(networks), folder]
    subprocess.run(command, check=True, env=ON_JAX)
    losses = json.loads((folder / "losses.json").read_text())
    return {name: (load_arrays(folder / f"{name}.npz"), losses.get(name)) for name in networks}


@pytest.mark.tensorflow
@each_in_turn(MODELS, TYPICAL)
def test_same_answer(name, jax_answers):
    network = representative(name)
    model = random_tiny(network)
    assert_same(jax_answers[network][0], outputs(model, inputs(model)))


@pytest.mark.tensorflow
@each_in_turn(OTHERS, TYPICAL)
def test_same_losses(name, jax_answers):
    network = representative(name)
    found = losses_on_same_noise(network)
    assert found["loss"] != 0
    assert found == pytest.approx(jax_answers[network][1], rel=1e-4, abs=1e-5)


WITHOUT_TENSORFLOW = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())

import numpy as np
import vislearn

model = vislearn.create_model("resnet18", input_shape=(32, 32, 3), num_classes=3)
assert model(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 3)
model.compile("sgd", "mse")
model.train_on_batch(np.zeros((2, 32, 32, 3), "float32"), np.zeros((2, 3), "float32"))
assert vislearn.list_models()
assert "tensorflow" not in sys.modules
"""


def test_works_where_tensorflow_cannot_be_imported():
    subprocess.run([sys.executable, "-c", WITHOUT_TENSORFLOW], check=True, env=ON_JAX)
