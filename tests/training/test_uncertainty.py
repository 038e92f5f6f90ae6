"""Monte-Carlo dropout against what can be computed by hand."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.training.uncertainty import monte_carlo, with_dropout_on

WEIGHTS = np.array([[1.5, -0.5]], "float32")


def one_unit(rate: float = 0.5) -> keras.Model:
    """One number that is dropped or not, and two logits of it."""
    inputs = keras.Input((1,))
    x = keras.layers.Dropout(rate, seed=0)(inputs)
    outputs = keras.layers.Dense(2, use_bias=False, name="head")(x)
    model = keras.Model(inputs, outputs)
    model.set_weights([WEIGHTS])
    return model


def entropy(p):
    return -np.sum(p * np.log(p), axis=-1)


def test_mean_and_deviation():
    x = np.array([[1.0], [2.0]], "float32")
    found = monte_carlo(one_unit(0.25), x, samples=400, activation=None)
    np.testing.assert_allclose(found.mean, x @ WEIGHTS, rtol=0.15)
    # 4 / 3 with probability 3 / 4, else 0.
    np.testing.assert_allclose(found.deviation, np.abs(x @ WEIGHTS) / 3**0.5, rtol=0.15)
    assert found.entropy is None and found.mutual_information is None


def test_entropy_and_mutual_information():
    """Each answer is one of two distributions; the mean tells how often it was which."""
    found = monte_carlo(one_unit(), np.ones((1, 1), "float32"), samples=50)
    kept = np.exp(2 * WEIGHTS[0]) / np.exp(2 * WEIGHTS[0]).sum()
    half = np.array([0.5, 0.5])
    share = (found.mean[0, 0] - 0.5) / (kept[0] - 0.5)
    assert 0.2 < share < 0.8
    mean = share * kept + (1 - share) * half
    expected = share * entropy(kept) + (1 - share) * entropy(half)
    assert found.entropy[0] == pytest.approx(entropy(mean), abs=1e-5)
    assert found.mutual_information[0] == pytest.approx(entropy(mean) - expected, abs=1e-5)
    deviation = np.sqrt(share * (1 - share)) * (kept[0] - 0.5)
    assert found.deviation[0] == pytest.approx([deviation] * 2, abs=1e-5)


def test_batch_normalisation_stays_in_inference():
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="norm")(inputs)
    x = keras.layers.Dropout(0.2, seed=0)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(5, 3, (3, 4)).astype("float32")
    before = model.get_layer("norm").get_weights()
    found = monte_carlo(model, x, samples=1000, activation=None)
    for a, b in zip(before, model.get_layer("norm").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # Of a linear network the mean is the answer without dropout; by the statistics of this batch
    # the answers would lie around 0.
    expected = keras.ops.convert_to_numpy(model(x))
    assert np.abs(expected).max() > 3
    bound = 4 * found.deviation / 1000**0.5
    assert (np.abs(found.mean - expected) < bound).all()


def test_the_seed_decides_and_the_model_stays():
    model = one_unit()
    x = np.ones((5, 1), "float32")
    variables = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    first, same, other = (monte_carlo(model, x, 8, seed, batch_size=3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.mean, same.mean)
    assert not np.array_equal(first.mean, other.mean)
    for before, variable in zip(variables, model.variables, strict=True):
        np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(variable))


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet20_cifar", {"drop_path_rate": 0.5}), ("vit_small_patch16", {"dropout": 0.2})],
)
def test_networks_of_the_registry(name, options):
    tiny = vislearn.model_info(name).tiny
    model = vislearn.create_model(name, **{**tiny, **options})
    x = np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:]))
    before = keras.ops.convert_to_numpy(model(x))
    found = monte_carlo(model, x, samples=4)
    np.testing.assert_allclose(found.mean.sum(axis=1), 1, rtol=1e-5)
    assert (found.deviation.max(axis=1) > 1e-4).all()
    assert (found.mutual_information > 0).all()
    assert (found.mutual_information < found.entropy).all()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_dropout_on(one_unit(0.0)), "has no dropout"),
        (lambda: monte_carlo(one_unit(), np.ones((1, 1)), samples=1), "samples=1"),
        (lambda: monte_carlo(one_unit(), np.ones((1, 1)), activation="tanh"), "activation='tanh'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
