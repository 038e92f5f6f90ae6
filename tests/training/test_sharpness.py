"""Sharpness-aware minimisation (arXiv:2010.01412)."""

import keras
import numpy as np
import pytest

from vislearn.tasks import Classification
from vislearn.training.checkpoint import load_state, save_state
from vislearn.training.recipes import Recipe
from vislearn.training.sharpness import SharpnessAwareModel
from vislearn.training.trainers import SharpnessAwareObjectiveTrainer, build_trainer


def numbers(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).copy()


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")


def test_five_steps_equal_the_algorithm():
    """Linear regression, whose gradient is written out in float64."""
    x, y = data()
    inputs = keras.Input((4,))
    network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    trainer = SharpnessAwareModel(network, radius=0.3)
    trainer.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse", metrics=["mae"])
    w, b = (numbers(v).astype("float64") for v in network.trainable_variables)

    def gradients(w, b):
        error = 2 * (x @ w + b - y) / y.size
        return x.T @ error, error.sum(axis=0)

    speed = [np.zeros_like(w), np.zeros_like(b)]
    for _ in range(5):
        loss, distance = np.mean((x @ w + b - y) ** 2), np.mean(np.abs(x @ w + b - y))
        logs = trainer.train_on_batch(x, y, return_dict=True)
        trainer.reset_metrics()
        assert (logs["loss"], logs["mae"]) == pytest.approx((loss, distance), rel=1e-5)
        up = gradients(w, b)
        norm = np.sqrt(sum((g**2).sum() for g in up))
        worst = gradients(w + 0.3 * up[0] / norm, b + 0.3 * up[1] / norm)
        speed = [0.5 * s - 0.1 * g for s, g in zip(speed, worst, strict=True)]
        w, b = w + speed[0], b + speed[1]
    for found, expected in zip(network.trainable_variables, (w, b), strict=True):
        np.testing.assert_allclose(numbers(found), expected, rtol=1e-5, atol=1e-6)


def noisy_network():
    """With all that a pass leaves behind: moving statistics and the state of a generator."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(6)(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.5, seed=1)(hidden)))


def test_the_second_pass_leaves_nothing_behind():
    """Statistics and generator are after a step where one usual pass takes them."""
    x, y = data()
    usual, network = noisy_network(), noisy_network()
    usual.compile(keras.optimizers.SGD(0.1), "mse")
    trainer = SharpnessAwareModel(network, radius=0.3)
    trainer.compile(keras.optimizers.SGD(0.1), "mse")
    for model in (usual, trainer):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for one, two in zip(
        usual.non_trainable_variables, network.non_trainable_variables, strict=True
    ):
        np.testing.assert_allclose(numbers(one), numbers(two), rtol=1e-6, err_msg=one.path)
    moved = [
        np.abs(numbers(one) - numbers(two)).max()
        for one, two in zip(usual.trainable_variables, network.trainable_variables, strict=True)
    ]
    assert max(moved) > 1e-3


def test_both_passes_draw_the_same():
    """With a tiny radius the step is the usual one, which it can't be with other masks."""
    x, y = data()
    usual, network = noisy_network(), noisy_network()
    usual.compile(keras.optimizers.SGD(0.1), "mse")
    trainer = SharpnessAwareModel(network, radius=1e-6)
    trainer.compile(keras.optimizers.SGD(0.1), "mse")
    for model in (usual, trainer):
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for one, two in zip(usual.trainable_variables, network.trainable_variables, strict=True):
        np.testing.assert_allclose(numbers(one), numbers(two), rtol=1e-3, atol=1e-4)


RECIPE = Recipe(
    optimizer="momentum", learning_rate=0.05, sam=0.1, agc=0.1, ema=0.9, label_smoothing=0.0
)


def test_recipe_and_exact_resumption(tmp_path):
    x, y = data()[0], np.arange(8, dtype="int32") % 2

    def start():
        return build_trainer(noisy_network(), Classification(("a", "b")), RECIPE, steps=4)

    whole, broken, resumed = start(), start(), start()
    for _ in range(2):
        whole.train_on_batch(x, y)
    broken.train_on_batch(x, y)
    save_state(tmp_path / "last.npz", broken, {})
    load_state(tmp_path / "last.npz", resumed)
    resumed.train_on_batch(x, y)
    for one, two in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(numbers(one), numbers(two), err_msg=one.path)
    assert set(whole.evaluate(x, y, verbose=0, return_dict=True)) >= {"loss", "accuracy"}


class Denoising:
    """Linear regression from inputs with noise, in two summands."""

    parts = ("fit", "size")

    def forward(self, network, x, *, seed_generator, training):
        noise = keras.random.normal(keras.ops.shape(x), seed=seed_generator)
        return network(x + 0.1 * noise, training=training)

    def loss(self, y, outputs):
        return {
            "fit": keras.ops.mean((outputs - y) ** 2),
            "size": 0.01 * keras.ops.mean(outputs**2),
        }


def test_an_objective_is_measured_once_a_step():
    x, y = data()
    trainer = SharpnessAwareObjectiveTrainer(noisy_network(), Denoising(), 3, radius=0.1)
    trainer.compile(keras.optimizers.Adam(0.05))
    logs = trainer.fit(x, y, batch_size=4, epochs=20, shuffle=False, verbose=0).history
    np.testing.assert_allclose(logs["loss"], np.add(logs["fit"], logs["size"]), rtol=1e-5)
    assert logs["loss"][-1] < 0.8 * logs["loss"][0]


def test_errors():
    with pytest.raises(ValueError, match="radius=0 must be positive"):
        SharpnessAwareModel(noisy_network(), radius=0)
    with pytest.raises(ValueError, match="sam=0 must be positive"):
        Recipe(sam=0)
