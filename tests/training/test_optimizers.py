"""Every optimiser against its equations of docs/optimizers.md, written out in float64."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from vislearn.training.adaptive_clipping import ADAPTIVE
from vislearn.training.optimizers import KINDS, OPTIMIZERS, check_options
from vislearn.training.recipes import Recipe, build_optimizer
from vislearn.training.transfer import with_layer_rates

STEPS, RATE = 5, 0.1


class BySgd:
    """Each class holds the state of one weight; `step` gives what is added to it."""

    def step(self, gradient, rate):
        return -rate * gradient


class ByMomentum:
    velocity = 0.0

    def step(self, gradient, rate):
        self.velocity = 0.9 * self.velocity - rate * gradient
        return self.velocity


class ByNesterov(ByMomentum):
    def step(self, gradient, rate):
        return 0.9 * super().step(gradient, rate) - rate * gradient


class ByAdagrad:
    total = 0.1

    def step(self, gradient, rate):
        self.total = self.total + gradient**2
        return -rate * gradient / np.sqrt(self.total + 1e-7)


class ByAdadelta:
    gradients = steps = 0.0

    def step(self, gradient, rate):
        self.gradients = 0.95 * self.gradients + 0.05 * gradient**2
        step = -np.sqrt(self.steps + 1e-7) / np.sqrt(self.gradients + 1e-7) * gradient
        self.steps = 0.95 * self.steps + 0.05 * step**2
        return rate * step


class ByRmsprop:
    mean = 0.0

    def step(self, gradient, rate):
        self.mean = 0.9 * self.mean + 0.1 * gradient**2
        return -rate * gradient / np.sqrt(self.mean + 1e-7)


class ByAdam:
    first = second = 0.0
    count = 0

    def step(self, gradient, rate):
        self.count += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        first = self.first / (1 - 0.9**self.count)
        # Keras adds epsilon to the root of the average that is not yet corrected.
        correction = np.sqrt(1 - 0.999**self.count)
        return -rate * first / (np.sqrt(self.second) / correction + 1e-7 / correction)


BY_HAND = {
    "sgd": BySgd,
    "momentum": ByMomentum,
    "nesterov": ByNesterov,
    "adagrad": ByAdagrad,
    "adadelta": ByAdadelta,
    "rmsprop": ByRmsprop,
    "adam": ByAdam,
    "adamw": ByAdam,
}


def adaptively(gradients, weights, threshold=0.05):
    """arXiv:2102.06171, equation 3, a column of the kernel after the other; the bias is one."""

    def clipped(gradient, weight):
        allowed = threshold * max(np.linalg.norm(weight), 1e-3)
        return gradient * min(1.0, allowed / np.linalg.norm(gradient))

    kernel, bias = gradients
    columns = [clipped(*pair) for pair in zip(kernel.T, weights[0].T, strict=True)]
    return [np.stack(columns, axis=1), clipped(bias, weights[1])]


def by_norm(gradients, weights):
    del weights
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
    return [gradient * min(1.0, 0.5 / norm) for gradient in gradients]


def by_value(gradients, weights):
    del weights
    return [np.clip(gradient, -0.3, 0.3) for gradient in gradients]


# By what the recipe says beside the optimiser: what it makes of the gradients.
CLIPPING = {
    "plain": ({}, lambda gradients, weights: gradients),
    "decay": ({"weight_decay": 0.2}, lambda gradients, weights: gradients),
    "norm": ({"clip_norm": 0.5, "weight_decay": 0.2}, by_norm),
    "value": ({"clip_value": 0.3}, by_value),
    "agc": ({"agc": 0.05, "weight_decay": 0.2}, adaptively),
    "average": ({"ema": 0.8, "weight_decay": 0.2}, lambda gradients, weights: gradients),
}


def problem():
    """Weights of a layer, as Keras has them and in float64, and gradients of five steps."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(3, 2)), rng.normal(size=(2,))]
    variables = [
        keras.Variable(value.astype("float32"), name=name)
        for name, value in zip(("kernel", "bias"), values, strict=True)
    ]
    gradients = [[rng.normal(size=value.shape) for value in values] for _ in range(STEPS)]
    return variables, values, gradients


def apply_all(optimizer, variables, gradients):
    optimizer.build(variables)
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32")) for g in step], variables)


def test_every_optimizer_is_written_out():
    assert BY_HAND.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("clipping", CLIPPING)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_five_steps(name, clipping):
    fields, clip = CLIPPING[clipping]
    recipe = Recipe(
        **{"optimizer": name, "learning_rate": RATE, "schedule": "constant", "weight_decay": 0.0}
        | fields
    )
    variables, values, gradients = problem()
    optimizer = build_optimizer(recipe, STEPS)
    apply_all(optimizer, variables, gradients)

    rules, averages = [BY_HAND[name](), BY_HAND[name]()], [0.0, 0.0]
    for count, step in enumerate(gradients):
        # Of the kernel alone; what clips beside the weights sees them decayed.
        values[0] = values[0] * (1 - RATE * recipe.weight_decay)
        step = clip(step, values)
        steps = [rule.step(g, RATE) for rule, g in zip(rules, step, strict=True)]
        values = [value + change for value, change in zip(values, steps, strict=True)]
        share = recipe.ema if count else 0.0  # The first average is the first value.
        averages = [share * a + (1 - share) * v for a, v in zip(averages, values, strict=True)]
    for variable, value in zip(variables, values, strict=True):
        found = keras.ops.convert_to_numpy(variable)
        np.testing.assert_allclose(found, value, rtol=2e-5, atol=2e-6)
    if recipe.ema:
        found = optimizer._model_variables_moving_average
        for variable, value in zip(found, averages, strict=True):
            found = keras.ops.convert_to_numpy(variable)
            np.testing.assert_allclose(found, value, rtol=2e-5, atol=2e-6)


def test_options_reach_the_optimizer():
    for name, rule in OPTIMIZERS.items():
        options = {
            option: option in ("amsgrad", "centered") or 0.25
            for option in (*rule.options, *filter(None, [rule.momentum]))
            if option != rule.momentum
        }
        recipe = Recipe(optimizer=name, optimizer_options=options, momentum=0.5)
        config = build_optimizer(recipe, 10).get_config()
        expected = {**options, **rule.fixed} | ({rule.momentum: 0.5} if rule.momentum else {})
        assert {key: config[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"nesterov": True}, r"'nesterov'; sgd takes none"),
        ("rmsprop", {"beta_2": 0.9}, r"'beta_2'; rmsprop takes \['rho'"),
        ("rmsprop", {"rho": 1.0}, r"rho=1.0 must be at least 0 and below 1"),
        ("adam", {"amsgrad": 1}, r"amsgrad=1 must be true or false"),
        ("adagrad", {"epsilon": "small"}, r"epsilon='small' must be at least 0"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        check_options(name, options)
    with pytest.raises(ValueError, match=message):
        Recipe(optimizer=name, optimizer_options=options)


def test_one_way_of_clipping():
    with pytest.raises(ValueError, match=r"clip_value=1.0 goes without clip_norm=2.0"):
        Recipe(clip_value=1.0, clip_norm=2.0)
    with pytest.raises(ValueError, match="clip_value=0 must be positive"):
        Recipe(clip_value=0)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_and_adaptive_clipping_together(kind):
    """A weight whose rate is a quarter goes a quarter as far; clipping is as without rates."""
    rates = {"kernel": 0.25, "bias": 1.0}
    variables, values, gradients = problem()
    apply_all(with_layer_rates(ADAPTIVE[kind](0.1, agc=0.05), rates), variables, gradients[:1])
    others, _, _ = problem()
    apply_all(ADAPTIVE[kind](0.1, agc=0.05), others, gradients[:1])
    for value, one, other, rate in zip(values, variables, others, rates.values(), strict=True):
        moved, whole = (keras.ops.convert_to_numpy(v) - value for v in (one, other))
        np.testing.assert_allclose(moved, rate * whole, rtol=1e-3, atol=1e-6)


def test_a_fresh_process_loads_them():
    """The classes are made where `vislearn.training.transfer` is imported."""
    kinds = [with_layer_rates(ADAPTIVE[kind](0.1, agc=0.05), {"a": 0.5}) for kind in KINDS]
    saved = json.dumps([keras.optimizers.serialize(optimizer) for optimizer in kinds])
    program = (
        "import json, sys, keras, vislearn.training.transfer\n"
        "for config in json.load(sys.stdin):\n"
        "    found = keras.optimizers.deserialize(config)\n"
        "    print(type(found).__name__, found.agc, found.rates)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], input=saved, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [
        f"LayerRatesAdaptiveClipping{kind.__name__} 0.05 {{'a': 0.5}}" for kind in KINDS
    ]


def test_the_example_of_the_page(tmp_path, monkeypatch, capsys):
    """Everything together, as printed."""
    page = Path(__file__).parents[2] / "docs" / "optimizers.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    exec(compile(example, page.name, "exec"), {})
    assert float(capsys.readouterr().out.splitlines()[-1]) > 0.8
    assert (tmp_path / "digits.keras").is_file()
