"""Moving averages of the weights: validated and kept, wherever the callbacks stand."""

import io
import itertools

import keras
import numpy as np
import pytest
from rich.console import Console

import vislearn
from vislearn.tasks import get_task
from vislearn.training.callbacks import (
    Bookkeeper,
    Progress,
    ValidateAverages,
    averaged_weights,
    best_path,
    state_path,
)
from vislearn.training.recipes import Recipe
from vislearn.training.trainers import build_trainer

RECIPE = Recipe(epochs=2, batch_size=8, optimizer="adam", learning_rate=0.01, ema=0.8)


def trainer_and_data(name: str = "mlp"):
    keras.utils.set_random_seed(0)
    info = vislearn.model_info(name)
    network = vislearn.create_model(name, **info.tiny)
    task = get_task(info.task, tuple("abcde"), info.family)
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (16, *info.tiny["input_shape"])).astype("float32")
    examples = task.target({"images": images, "labels": rng.integers(0, 5, 16)})
    return network, build_trainer(network, task, RECIPE, 4), examples


def arrays(path) -> dict:
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name != "meta"}


def test_the_order_of_callbacks_does_not_matter(tmp_path):
    found = []
    for number, order in enumerate(itertools.permutations(range(3))):
        folder = tmp_path / str(number)
        (folder / "checkpoints").mkdir(parents=True)
        network, trainer, data = trainer_and_data()
        keeper = Bookkeeper(folder, network=network, monitor="val_loss", mode="min", patience=5)
        console = Console(file=io.StringIO(), width=200)
        progress = Progress(console, steps=2, batch_size=8, metrics=(), keeper=keeper)
        callbacks = [ValidateAverages(), keeper, progress]
        with progress:
            trainer.fit(
                *data,
                batch_size=8,
                epochs=2,
                shuffle=False,
                verbose=0,
                validation_data=data,
                callbacks=[callbacks[index] for index in order],
            )
        rows = [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in keeper.history
        ]
        lines = console.file.getvalue().splitlines()
        stars = [line.endswith("*") for line in lines if line.startswith("epoch")]
        assert len(stars) == 2 and stars[0]
        found.append((rows, stars, arrays(best_path(folder)), arrays(state_path(folder))))
    (rows, stars, best, state), *others = found
    for other_rows, other_stars, other_best, other_state in others:
        assert other_rows == rows and other_stars == stars
        for one, two in ((best, other_best), (state, other_state)):
            assert one.keys() == two.keys()
            for name, value in one.items():
                np.testing.assert_array_equal(value, two[name], err_msg=name)


@pytest.mark.parametrize("name", ["mlp", "conv_vae"])
def test_a_trained_model_is_evaluated_and_trained_further(name):
    """Weights and averages have memory of their own after `fit`; on JAX Keras makes them share."""
    _, trainer, data = trainer_and_data(name)
    options = {"batch_size": 8, "verbose": 0, "callbacks": [ValidateAverages()]}
    trainer.fit(*data, **options)
    for _ in range(2):
        assert np.isfinite(trainer.evaluate(*data, **options)).all()
    with averaged_weights(trainer):
        trainer.evaluate(*data, batch_size=8, verbose=0)
    trainer.fit(*data, **options)
