"""Rung: the JAX backend gives TensorFlow's answers, and needs no TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rungs import NETWORKS, assert_same, every_model, images, outputs, random_tiny, representative

ON_JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def jax_answers(tmp_path_factory):
    """The answers of all networks from one process on the JAX backend."""
    file = tmp_path_factory.mktemp("jax") / "answers.npz"
    script = Path(__file__).with_name("fresh_process.py")
    command = [sys.executable, script, "forward", json.dumps(NETWORKS), file]
    subprocess.run(command, check=True, env=ON_JAX)
    with np.load(file) as answers:
        return dict(answers)


@pytest.mark.tensorflow
@every_model
def test_same_answer(name, jax_answers):
    network = representative(name)
    model = random_tiny(network)
    assert_same(jax_answers[network], outputs(model, images(model)))


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
