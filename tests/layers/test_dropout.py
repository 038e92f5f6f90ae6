"""Dropout at other times and in other places: rates, schedules, seeds, weights."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.layers import DropConnect, MonteCarloDropout, ScheduledDropout
from vislearn.layers.dropout import strength


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def dropped(layer, x) -> float:
    """The share of zeros after a call in training."""
    return float(np.mean(numpy(layer(x, training=True)) == 0))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("early", [1, 1, 1, 1, 0, 0]),
        ("linear", [1, 0.75, 0.5, 0.25, 0, 0]),
        ("late", [0, 0, 0, 0, 1, 1]),
    ],
)
def test_strength(schedule, expected):
    found = [float(numpy(strength(schedule, ops.convert_to_tensor(s), 4))) for s in range(6)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("early", [0.5, 0.5, 0, 0]), ("linear", [0.5, 0.25, 0, 0])]
)
def test_the_rate_follows_the_steps(schedule, expected):
    layer = ScheduledDropout(0.5, schedule, 2, seed=0)
    x = np.ones((100, 100), "float32")
    assert dropped(layer, x) == pytest.approx(expected[0], abs=0.02)
    np.testing.assert_array_equal(numpy(layer(x)), x)  # Inference is no step.
    for rate in expected[1:]:
        assert dropped(layer, x) == pytest.approx(rate, abs=0.02)
    assert int(layer.step) == 4


def test_what_is_left_keeps_the_mean():
    layer = ScheduledDropout(0.25, "early", 5, seed=0)
    y = numpy(layer(np.ones((200, 200), "float32"), training=True))
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_noise_shape_drops_whole_examples():
    layer = ScheduledDropout(0.5, "early", 5, noise_shape=(None, 1, 1), seed=0)
    y = numpy(layer(np.ones((64, 3, 4), "float32"), training=True)).reshape(64, -1)
    assert (y.min(axis=1) == y.max(axis=1)).all()
    assert {*np.unique(y)} == {0, 2}


def test_a_compiled_training_counts_steps():
    inputs = keras.Input((4,))
    x = ScheduledDropout(0.5, "early", 6, name="dropout")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 1)), batch_size=2, epochs=2, verbose=0)
    assert int(model.get_layer("dropout").step) == 8


def test_monte_carlo_dropout_is_on_in_inference():
    layer = MonteCarloDropout(0.5, seed=0)
    x = np.ones((100, 100), "float32")
    first, second = numpy(layer(x, training=False)), numpy(layer(x))
    assert np.mean(first == 0) == pytest.approx(0.5, abs=0.02)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("per_example", [True, False])
def test_drop_connect(per_example):
    layer = DropConnect(6, rate=0.25, per_example=per_example, seed=0)
    rng = np.random.default_rng(0)
    layer.build((None, 5))
    kernel, bias = rng.normal(size=(5, 6)), rng.normal(size=6)
    layer.set_weights([kernel, bias])
    x = np.concatenate([np.eye(5), np.zeros((1, 5))]).astype("float32")
    np.testing.assert_allclose(numpy(layer(x)), x @ kernel + bias, atol=1e-6)
    # A unit vector sees one row of the weights, each kept (at 4/3) or not, and so of the biases.
    rows = np.concatenate([kernel, np.zeros((1, 6))])
    y = numpy(layer(x, training=True))
    options = np.stack([a * rows + b * bias for a in (0, 4 / 3) for b in (0, 4 / 3)])
    assert (np.abs(options - y).min(axis=0) < 1e-5).all()
    # Equal examples differ only where each has weights of its own.
    y = numpy(layer(np.ones((4, 5), "float32"), training=True))
    assert (len(np.unique(y.round(5), axis=0)) > 1) == per_example


def test_drop_connect_keeps_the_mean():
    layer = DropConnect(3, rate=0.5, kernel_initializer="ones", bias_initializer="ones", seed=0)
    y = numpy(layer(np.ones((5000, 4), "float32"), training=True))
    assert y.mean() == pytest.approx(5, abs=0.1)
    # The sum of five weights, each 0 or 2 with even odds.
    assert y.var() == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScheduledDropout(1, "early", 5), "rate=1"),
        (lambda: ScheduledDropout(0.5, "soon", 5), "schedule='soon'"),
        (lambda: ScheduledDropout(0.5, "late", 0), "steps=0"),
        (lambda: DropConnect(3, rate=1.0), r"rate=1\.0"),
        (lambda: DropConnect(3)(np.ones((2, 3, 4))), r"\(2, 3, 4\)"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
