"""Schedules, recipes and optimisers."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from vislearn.registry import list_models, model_info
from vislearn.training.recipes import Recipe, build_optimizer, default_recipe
from vislearn.training.schedules import SCHEDULES, Cyclic, OneCycle, WarmUp, build_schedule


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


def part(step, steps, warmup):
    """How far the part after the warm-up is, and its steps."""
    rising = int(warmup * steps)
    return step - rising, steps - rising


def step_formula(t, steps):
    return 0.5 ** (t // round(0.25 * steps))


def multiplicative_formula(t, steps):
    passed = [factor for at, factor in ((0.3, 0.2), (0.8, 0.5)) if t >= round(at * steps)]
    return math.prod(passed)


def cyclic_formula(t, steps, height=lambda cycle, t: 1.0):
    """Smith 2017, section 3.1, as its listing has it."""
    half = steps / 6
    cycle = math.floor(1 + t / (2 * half))
    x = abs(t / half - 2 * cycle + 1)
    return 0.2 + (1 - 0.2) * max(0.0, 1 - x) * height(cycle, t)


CYCLES = {"cycles": 3, "least": 0.2}
# Name, options, and the rate as a share of the peak, from the step and the number of steps.
FORMULAS = [
    ("constant", {}, lambda t, steps: 1.0),
    ("step", {"every": 0.25, "factor": 0.5}, step_formula),
    ("multiplicative", {"at": [0.3, 0.8], "factors": [0.2, 0.5]}, multiplicative_formula),
    ("exponential", {"end": 0.02}, lambda t, steps: 0.02 ** (t / steps)),
    (
        "cosine",
        {"end": 0.1},
        lambda t, steps: 0.1 + 0.9 * (1 + math.cos(math.pi * min(t / steps, 1))) / 2,
    ),
    ("cyclic", {**CYCLES}, cyclic_formula),
    (
        "cyclic",
        {**CYCLES, "mode": "triangular2"},
        lambda t, steps: cyclic_formula(t, steps, lambda cycle, t: 0.5 ** (cycle - 1)),
    ),
    (
        "cyclic",
        {**CYCLES, "mode": "exp_range", "decay": 0.3},
        lambda t, steps: cyclic_formula(t, steps, lambda cycle, t: 0.3 ** (t / steps)),
    ),
]


@pytest.mark.parametrize("warmup", [0.0, 0.1])
@pytest.mark.parametrize(("name", "options", "formula"), FORMULAS)
def test_a_whole_run_follows_the_formula(name, options, formula, warmup):
    """At every step, as an optimiser asks for it, and again after saving and loading."""
    steps, peak = 60, 0.4
    schedule = build_schedule(name, peak, steps, **options, warmup=warmup)
    recipe = Recipe(
        schedule=name, learning_rate=peak, schedule_options={**options, "warmup": warmup}
    )
    rule = build_optimizer(recipe, steps)
    expected = []
    for step in range(steps):
        after, length = part(step, steps, warmup)
        rising = step / int(warmup * steps) if after < 0 else 1.0
        expected.append(peak * rising * formula(max(after, 0), length))
    found = []
    for _ in range(steps):
        found.append(float(rule.learning_rate))
        rule.iterations.assign_add(1)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-7)
    if callable(schedule):
        config = keras.optimizers.schedules.serialize(schedule)
        restored = keras.optimizers.schedules.deserialize(config)
        np.testing.assert_array_equal([float(restored(t)) for t in range(steps)], found)


def test_every_schedule_is_written_out():
    assert {name for name, _, _ in FORMULAS} | {"one_cycle"} == SCHEDULES.keys()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("constant", {"end": 0.1}, r"\['end'\]; constant takes \['warmup'\]"),
        ("cosine", {"warmup": 1.0}, "warmup=1.0 must be at least 0 and below 1"),
        ("cosine", {"end": 2}, "end=2 must be between 0 and 1"),
        ("step", {"every": 0}, "every=0 must be above 0"),
        ("step", {"factor": "half"}, "factor='half' must be positive"),
        ("multiplicative", {"at": 0.5}, "at=0.5 must be a list"),
        ("multiplicative", {"at": [0.8, 0.3]}, "in order"),
        ("multiplicative", {"at": [0.5]}, "a positive number for each"),
        ("exponential", {"end": 0}, "end=0 must be positive"),
        ("cyclic", {"mode": "square"}, "mode='square' must be one of"),
        ("cyclic", {"decay": 0.5}, "decay=0.5 must be left out with mode=triangular"),
        ("cyclic", {"cycles": 0}, "cycles=0 must be positive"),
        ("cyclic", {"least": 1}, "least=1 must be at least 0 and below 1"),
        ("one_cycle", {"start": -1}, "start=-1 must be at least 0"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(schedule=name, schedule_options=options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cyclic(0.1, 0.2, 10), "least=0.2 must be at least 0 and below peak=0.1"),
        (lambda: Cyclic(0.1, 0.0, 10, "saw"), "mode='saw' must be one of"),
        (lambda: Cyclic(0.1, 0.0, 10, gamma=0.9), "gamma=0.9 must be"),
        (lambda: WarmUp(0.1, 0), "steps=0 must be at least 1"),
    ],
)
def test_classes_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_cosine_warms_up_and_ends_at_zero():
    rule = build_optimizer(Recipe(schedule="cosine", learning_rate=0.2), steps=100)
    rates = [float(rule._learning_rate(step)) for step in (0, 5, 100)]
    assert rates[0] < 0.05
    assert rates[1] == pytest.approx(0.2)
    assert rates[2] == pytest.approx(0, abs=1e-6)
