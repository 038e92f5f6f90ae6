"""Schedules, recipes and optimisers."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from vislearn.registry import list_models, model_info
from vislearn.training.recipes import Recipe, build_optimizer, default_recipe
from vislearn.training.schedules import OneCycle


def test_one_cycle_follows_its_formula():
    peak, steps, warmup, start, end = 0.4, 200, 0.25, 0.1, 0.01
    schedule = OneCycle(peak, steps, warmup, start, end)

    def expected(step):
        part = min(step / steps, 1.0)
        if part < warmup:
            first, last, along = start, 1.0, part / warmup
        else:
            first, last, along = 1.0, end, (part - warmup) / (1 - warmup)
        return peak * (last + (first - last) * (1 + math.cos(math.pi * along)) / 2)

    for step in (0, 1, 25, 49, 50, 51, 120, 199, 200, 5000):
        assert float(schedule(step)) == pytest.approx(expected(step), rel=1e-5)
    assert float(schedule(50)) == pytest.approx(peak)
    restored = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule)
    )
    assert restored.get_config() == schedule.get_config()


@pytest.mark.parametrize("wrong", [{"peak": 0}, {"steps": 0}, {"warmup": 1.0}])
def test_one_cycle_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OneCycle(**{"peak": 0.1, "steps": 10, **wrong})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", True),
        ("optimizer", "lion"),
        ("schedule", "linear"),
        ("learning_rate", math.nan),
        ("learning_rate", -0.1),
        ("weight_decay", -1),
        ("label_smoothing", 1.5),
        ("clip_norm", 0),
        ("patience", 0),
    ],
)
def test_recipe_names_field_and_value(field, value):
    with pytest.raises(ValueError, match=f"{field}={value!r}"):
        dataclasses.replace(Recipe(), **{field: value})


def test_every_family_has_a_valid_recipe():
    for family in {model_info(name).family for name in list_models("classification")}:
        assert isinstance(default_recipe(family), Recipe)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_decay_shrinks_kernels_and_spares_the_rest(optimizer):
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="dense")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(x))
    recipe = Recipe(optimizer=optimizer, schedule="constant", learning_rate=0.1, weight_decay=0.5)
    rule = build_optimizer(recipe, steps=10)
    before = [np.asarray(v) + 1 for v in model.trainable_variables]
    for variable, value in zip(model.trainable_variables, before, strict=True):
        variable.assign(value)
    zeros = [np.zeros_like(value) for value in before]
    rule.apply(zeros, model.trainable_variables)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        factor = 1 - 0.1 * 0.5 if variable.name == "kernel" else 1
        np.testing.assert_allclose(variable, value * factor, rtol=1e-6)


def test_cosine_warms_up_and_ends_at_zero():
    rule = build_optimizer(Recipe(schedule="cosine", learning_rate=0.2), steps=100)
    rates = [float(rule._learning_rate(step)) for step in (0, 5, 100)]
    assert rates[0] < 0.05
    assert rates[1] == pytest.approx(0.2)
    assert rates[2] == pytest.approx(0, abs=1e-6)
