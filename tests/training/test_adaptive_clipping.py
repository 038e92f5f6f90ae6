"""Adaptive gradient clipping (arXiv:2102.06171, equation 3)."""

import keras
import numpy as np
import pytest

from vislearn.training.adaptive_clipping import ADAPTIVE, clip_adaptively, unit_axes
from vislearn.training.recipes import Recipe, build_optimizer


def by_hand(gradient, weight, threshold):
    """Equation 3, one unit after another; the last axis counts the units."""
    found = gradient.copy()
    for unit in np.ndindex(gradient.shape[-1:]):
        g, w = gradient[..., *unit], weight[..., *unit]
        size = max(np.linalg.norm(w), 1e-3)
        if np.linalg.norm(g) / size > threshold:
            found[..., *unit] = threshold * size / np.linalg.norm(g) * g
    return found


@pytest.mark.parametrize("shape", [(5, 4), (3, 3, 2, 6), (4, 2, 3)])
def test_equals_the_equation_unit_by_unit(shape):
    rng = np.random.default_rng(0)
    gradient, weight = (rng.normal(size=shape).astype("float32") for _ in range(2))
    gradient *= np.linspace(0.01, 0.5, shape[-1], dtype="float32")
    weight[..., -1] = 0
    expected = by_hand(gradient, weight, 0.2)
    kept = np.isclose(expected, gradient).reshape(-1, shape[-1]).all(axis=0)
    assert kept.any()
    assert not kept.all(), "both cases of the equation"
    found = keras.ops.convert_to_numpy(clip_adaptively(gradient, weight, 0.2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_units():
    assert unit_axes(()) == ()
    assert unit_axes((7,)) == (0,)
    assert unit_axes((7, 3)) == (0,)
    assert unit_axes((3, 3, 7, 5)) == (0, 1, 2)
    assert unit_axes((3, 3, 7, 1)) == (0, 1), "a depthwise kernel has a unit for each channel"


def test_a_bias_is_one_unit_and_zero_stays_zero():
    gradient = np.array([3.0, 4.0], "float32")
    found = keras.ops.convert_to_numpy(clip_adaptively(gradient, np.zeros(2, "float32"), 0.5))
    np.testing.assert_allclose(found, gradient / 5 * 0.5e-3, rtol=1e-5)
    nothing = keras.ops.convert_to_numpy(clip_adaptively(0 * gradient, gradient, 0.5))
    np.testing.assert_array_equal(nothing, 0)


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="dense")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(x))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_recipe(optimizer):
    """A step of `fit` on this backend; the saved optimiser clips as this one does."""
    recipe = Recipe(optimizer=optimizer, schedule="constant", agc=0.01, ema=0.9)
    rule = build_optimizer(recipe, steps=10)
    assert rule.agc == 0.01
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(rule))
    assert restored.get_config() == rule.get_config()
    assert type(restored) is type(rule)
    model = network()
    model.compile(rule, "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), verbose=0)
    assert all(np.isfinite(value).all() for value in model.get_weights())


def test_without_it_the_optimizer_is_that_of_keras():
    assert type(build_optimizer(Recipe(), steps=10)) is keras.optimizers.SGD


def test_a_step_moves_a_unit_by_the_threshold_and_spares_the_head():
    model = network()
    model.compile(
        ADAPTIVE[keras.optimizers.SGD](learning_rate=1.0, agc=0.01), "mse", run_eagerly=True
    )
    before = [keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(8, 3)), 100 * rng.normal(size=(8, 2)))
    moved = [
        np.linalg.norm(keras.ops.convert_to_numpy(v) - old, axis=0)
        for v, old in zip(model.trainable_variables, before, strict=True)
    ]
    kernel, bias, head = moved[:3]
    np.testing.assert_allclose(kernel, 0.01 * np.linalg.norm(before[0], axis=0), rtol=1e-3)
    np.testing.assert_allclose(bias, 0.01 * 1e-3, rtol=1e-3)
    assert (head > 1).all()


def test_errors():
    with pytest.raises(ValueError, match="agc=0 must be positive"):
        ADAPTIVE[keras.optimizers.SGD](agc=0)
    with pytest.raises(ValueError, match=r"agc=-0\.1 must be positive"):
        Recipe(agc=-0.1)
