"""Rung: trains a step in bfloat16 arithmetic without NaN, and answers in float32."""

import functools

import keras
import numpy as np
from rungs import (
    MODELS,
    TRAINED,
    each_in_turn,
    every_network,
    example,
    inputs,
    outputs,
    representative,
    step,
    tiny,
    trainer,
)

from vislearn.backend import BFLOAT16, precision
from vislearn.training.recipes import Recipe

# One step: TensorFlow runs it as it comes, JAX would compile each operation by itself.
EAGERLY = keras.backend.backend() == "tensorflow"


@every_network
def test_builds_in_bfloat16(name):
    with precision(BFLOAT16):
        model = tiny(name)
    assert keras.config.dtype_policy().name == "float32", "the policy is restored"
    assert {output.dtype for output in model.outputs} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
    assert {variable.dtype for variable in model.weights} == {"float32"}


@functools.cache
def trained(name: str) -> tuple[dict, list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """The losses of one step, the answers after it, and the weights before and after."""
    with precision(BFLOAT16):
        model, built = trainer(name, Recipe(learning_rate=0.01, schedule="constant"))
    built.run_eagerly = EAGERLY
    before = [value.copy() for value in built.get_weights()]
    losses = step(built, name, example(name))
    answers = keras.tree.flatten(outputs(model, inputs(model)))
    return losses, answers, before, built.get_weights()


@each_in_turn(MODELS, TRAINED)
def test_trains_in_bfloat16(name):
    losses, answers, before, after = trained(representative(name))
    assert losses
    assert np.all(np.isfinite(list(losses.values())))
    assert all(np.all(np.isfinite(answer)) for answer in answers)
    assert all(np.all(np.isfinite(value)) for value in after)
    assert any(np.any(old != new) for old, new in zip(before, after, strict=True))
