"""Adaptive gradient clipping (arXiv:2102.06171, equation 3)."""

import keras
import numpy as np
import pytest

from vislearn.training.adaptive_clipping import (
    ADAPTIVE,
    clip_adaptively,
    unit_axes,
    unusual_units,
)
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
    assert unit_axes((3, 3, 7, 1)) == (0, 1, 2), "one filter is one unit"


def layered():
    """A layer of each kind, with one output in the end."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 9, 3))
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(inputs)
    x = keras.layers.SeparableConv2D(4, 3, name="separable")(x)
    x = keras.layers.Conv2DTranspose(5, 3, name="transposed")(x)
    return keras.Model(inputs, keras.layers.Conv2D(1, 3, name="conv")(x))


def test_units_follow_from_the_kind_of_layer():
    model = layered()
    assert unusual_units(model) == {
        "depthwise/kernel": [0, 1],
        "separable/depthwise_kernel": [0, 1],
        "transposed/kernel": [0, 1, 3],
    }
    recipe = Recipe(
        optimizer="sgd", learning_rate=1.0, schedule="constant", weight_decay=0, agc=0.01
    )
    rule = build_optimizer(recipe, 10, model)
    assert keras.optimizers.deserialize(keras.optimizers.serialize(rule)).agc_axes == rule.agc_axes
    model.compile(rule, "mse")
    before = {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.trainable_variables}
    rng = np.random.default_rng(0)
    target = 1000 * rng.normal(size=(4, *model.output_shape[1:]))
    model.train_on_batch(rng.normal(size=(4, 9, 9, 3)), target)
    kernels = {
        "depthwise/kernel": (0, 1),
        "separable/depthwise_kernel": (0, 1),
        "separable/pointwise_kernel": (0, 1, 2),
        "transposed/kernel": (0, 1, 3),
        "conv/kernel": (0, 1, 2),
    }
    for variable in model.trainable_variables:
        if variable.path in kernels:
            old, axes = before[variable.path], kernels[variable.path]
            moved = np.sqrt(np.sum((keras.ops.convert_to_numpy(variable) - old) ** 2, axis=axes))
            size = np.sqrt(np.sum(old**2, axis=axes))
            np.testing.assert_allclose(moved, 0.01 * size, rtol=1e-3, err_msg=variable.path)


def test_a_head_alone_is_refused():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(inputs))
    rule = ADAPTIVE[keras.optimizers.SGD](agc=0.1)
    with pytest.raises(ValueError, match=r"agc=0\.1: nothing is trained but \['head'\]"):
        rule.build(model.trainable_variables)


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
