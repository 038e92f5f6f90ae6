"""Rung: with `jit_compile=True` XLA really compiles the training step on TensorFlow.

Keras may turn the wish down with a warning, and TensorFlow run what it can't compile as it comes;
so XLA is asked to write down what it compiles, and the step has to be there.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rungs import CLASSIFIERS, representative, selected

FLAGS = "--xla_dump_hlo_as_text --xla_dump_hlo_module_re=.*one_step_on_data.*"
# A convolutional network and a transformer; the others take minutes together.
FAST = ("resnet18", "vit_base_patch16")

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def compiled(request, tmp_path_factory) -> Path:
    """A folder for each network, with what XLA compiled and the loss."""
    folder = tmp_path_factory.mktemp("xla")
    script = Path(__file__).with_name("xla_steps.py")
    flags = f"{os.environ['XLA_FLAGS']} {FLAGS} --xla_dump_to={folder}"
    subprocess.run(
        [sys.executable, script, folder, *selected(request)],
        check=True,
        env={**os.environ, "XLA_FLAGS": flags},
    )
    return folder


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CLASSIFIERS],
)
def test_step_is_compiled(name, compiled):
    network = representative(name)
    (module,) = (compiled / network).glob("*one_step_on_data*before_optimizations.txt")
    # Forward and backward pass are in one program.
    assert module.read_text().count(" dot(") + module.read_text().count(" convolution(") >= 2
    assert math.isfinite(float((compiled / network / "loss.txt").read_text()))
