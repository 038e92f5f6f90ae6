"""Rung: trains a step in bfloat16 arithmetic without NaN, and answers in float32."""

import keras
import numpy as np
from rungs import every_model, images, outputs, tiny

from vislearn.backend import BFLOAT16, precision


@every_model
def test_bfloat16(name):
    with precision(BFLOAT16):
        model = tiny(name)
    assert keras.config.dtype_policy().name == "float32", "the policy is restored"
    assert model.output.dtype == "float32"
    hidden = {layer.compute_dtype for layer in model.layers if layer.name != "head"}
    assert "bfloat16" in hidden
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}

    pixels = images(model, 8)
    labels = np.arange(8) % model.output_shape[-1]
    # Eagerly: one step is not worth compiling.
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), run_eagerly=True)
    before = [np.array(value) for value in model.get_weights()]
    loss = model.train_on_batch(pixels, labels)
    assert np.isfinite(loss)
    after = model.get_weights()
    assert all(np.all(np.isfinite(value)) for value in after)
    assert any(np.any(old != new) for old, new in zip(before, after, strict=True))
    assert np.all(np.isfinite(outputs(model, pixels)))
