"""Penalties on weights: what they add to the loss, where, and what they do to the weights."""

import keras
import numpy as np
import pytest

from vislearn import backend
from vislearn.models.classification.mlp import mlp
from vislearn.tasks import get_task
from vislearn.training import Recipe, train
from vislearn.training.penalties import penalize, penalty
from vislearn.training.trainers import ObjectiveTrainer, build_trainer

rng = np.random.default_rng(0)
X = rng.uniform(0, 255, (16, 4, 4, 1)).astype("float32")
Y = rng.integers(0, 3, 16)


def network(**options):
    keras.utils.set_random_seed(0)
    return mlp(input_shape=(4, 4, 1), num_classes=3, units=(8, 6), **options)


def kernels(model, names=("dense1", "dense2", "head")):
    found = [model.get_layer(name).get_weights()[0].astype(float) for name in names]
    return np.concatenate([kernel.ravel() for kernel in found])


def expected(model, l1, l2, names=("dense1", "dense2", "head")):
    w = kernels(model, names)
    return l1 * np.abs(w).sum() + l2 * (w**2).sum()


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("*", ("dense1", "dense2", "head")),
        ("dense*", ("dense1", "dense2")),
        ("head, dense1", ("dense1", "head")),
    ],
)
def test_value_by_layers(layers, names):
    model = network()
    paths = penalize(model, l1=0.01, l2=0.1, layers=layers)
    assert len(paths) == len(names) and all(path.endswith("kernel") for path in paths)
    assert penalty(model) == pytest.approx(expected(model, 0.01, 0.1, names), rel=1e-6)


def compiled(model, recipe):
    return build_trainer(model, get_task("classification", "abc", "mlp"), recipe, steps=4)


def test_loss_and_gradient():
    """The loss of `fit` and `evaluate` has it, and its gradient is l1 sign(w) + 2 l2 w."""
    plain = compiled(network(), Recipe(label_smoothing=0.0))
    bare = plain.evaluate(X, Y, verbose=0)[0]
    model = compiled(network(), Recipe(label_smoothing=0.0, l1=0.01, l2=0.1))
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(
        bare + expected(model, 0.01, 0.1), rel=1e-6
    )

    def total():
        return model.compute_loss(y=Y, y_pred=model(X)) - plain.compute_loss(y=Y, y_pred=model(X))

    kernel = model.get_layer("dense2").kernel
    _, (slope,) = backend.value_and_gradients(total, [kernel], model.variables)
    w = keras.ops.convert_to_numpy(kernel)
    found = keras.ops.convert_to_numpy(slope)
    np.testing.assert_allclose(found, 0.01 * np.sign(w) + 0.2 * w, rtol=1e-4, atol=1e-6)


def test_frozen_layers_have_none():
    model = network()
    model.get_layer("dense1").trainable = False
    penalize(model, l2=0.1)
    assert penalty(model) == pytest.approx(expected(model, 0, 0.1, ("dense2", "head")), rel=1e-6)


def test_objectives_count_it():
    class Squares:
        parts = ("squares",)

        def forward(self, network, x, *, seed_generator, training):
            return network(x, training=training)

        def loss(self, y, outputs):
            return {"squares": keras.ops.mean(keras.ops.square(outputs))}

    model = network()
    trainer = ObjectiveTrainer(model, Squares())
    trainer.compile("sgd")
    bare = trainer.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    penalize(model, l2=0.1)
    trainer.compile("sgd")
    found = trainer.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(bare + expected(model, 0, 0.1), rel=1e-6)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"penalized='conv\*': mlp has no such weights"):
        penalize(network(), l2=0.1, layers="conv*")
    with pytest.raises(ValueError, match="l2=-1 must be at least 0"):
        Recipe(l2=-1)


@pytest.mark.tensorflow
def test_run(tmp_path):
    """A run shows the penalty, and saves a network without it."""
    run = train(
        "mlp",
        data="digits",
        out=tmp_path / "run",
        epochs=2,
        loss="cubed_hinge",
        objective={"margin": 1.0},
        l2=1e-3,
        penalized="dense*",
        quiet=True,
    )
    assert run.config.recipe.label_smoothing == 0  # The family's is for cross entropy.
    model = run.model()
    last = expected(model, 0, 1e-3, ("dense1", "dense2"))
    best = max(run.history(), key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert best["penalty"] == pytest.approx(last, rel=1e-5)
    assert model.losses == []


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("model", "data", "recipe", "message"),
    [
        ("mlp", "digits", {"loss": "hing"}, "loss='hing' must be one of"),
        ("mlp", "digits", {"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing=0.1 must"),
        ("mlp", "digits", {"objective": {"beta": 4}}, r"options=\['beta'\]: loss='log'"),
        ("dcgan", "digits", {"l2": 0.1}, "l2=0.1: .* has several losses"),
        ("dcgan", "digits", {"loss": "hinge"}, "loss='hinge': generation has a loss of its own"),
    ],
)
def test_runs_that_can_not_be(tmp_path, model, data, recipe, message):
    with pytest.raises(ValueError, match=message):
        train(model, data=data, out=tmp_path / "run", image_size=8, quiet=True, **recipe)
