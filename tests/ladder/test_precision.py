"""Rung: trains a step in bfloat16 arithmetic without NaN, and answers in float32."""

import functools

import keras
import numpy as np
from rungs import every_model, images, representative, tiny

from vislearn.backend import BFLOAT16, precision

# One step: TensorFlow runs it as it comes, JAX would compile each operation by itself.
EAGERLY = keras.backend.backend() == "tensorflow"


@every_model
def test_builds_in_bfloat16(name):
    with precision(BFLOAT16):
        model = tiny(name)
    assert keras.config.dtype_policy().name == "float32", "the policy is restored"
    assert model.output.dtype == "float32"
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
    assert {variable.dtype for variable in model.weights} == {"float32"}


@functools.cache
def trained(name: str) -> tuple[float, np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """The loss of one step, the answers after it, and the weights before and after."""
    with precision(BFLOAT16):
        model = tiny(name)
    pixels = images(model, 8)
    labels = np.arange(8) % model.output_shape[-1]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=EAGERLY)
    before = [value.copy() for value in model.get_weights()]
    step = model.train_on_batch(pixels, labels)
    return float(step), model.predict_on_batch(pixels), before, model.get_weights()


@every_model
def test_trains_in_bfloat16(name):
    loss, answers, before, after = trained(representative(name))
    assert np.isfinite(loss)
    assert answers.dtype == np.float32
    assert np.all(np.isfinite(answers))
    assert all(np.all(np.isfinite(value)) for value in after)
    assert any(np.any(old != new) for old, new in zip(before, after, strict=True))
