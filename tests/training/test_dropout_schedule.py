"""Early and late dropout of networks that exist: their weights, their steps, their resumption."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.layers import ScheduledDropout
from vislearn.tasks import get_task
from vislearn.training.checkpoint import load_state, save_state
from vislearn.training.dropout_schedule import schedule_dropout
from vislearn.training.recipes import Recipe
from vislearn.training.trainers import build_trainer

EPOCH_STEPS = 4


def create(dropout: float = 0.5, drop_path_rate: float | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    if drop_path_rate is None:
        info = vislearn.model_info("cifar_cnn")
        return vislearn.create_model("cifar_cnn", **info.tiny, batch_norm=True, dropout=dropout)
    tiny = {**vislearn.model_info("vit_small_patch16").tiny, "dropout": dropout}
    return vislearn.create_model("vit_small_patch16", **{**tiny, "drop_path_rate": drop_path_rate})


def batch(model: keras.Model, count: int = 8):
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (count, *model.input_shape[1:])).astype("float32")
    return pixels, rng.integers(0, 5, count)


def trainer_of(model: keras.Model, schedule: str | None) -> keras.Model:
    recipe = Recipe(epochs=10, batch_size=8, learning_rate=0.05, dropout_schedule=schedule)
    task = get_task("classification", tuple("abcde"), "convnet")
    return build_trainer(model, task, recipe, 10 * EPOCH_STEPS)


def losses(trainer: keras.Model, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        trainer.reset_metrics()
        found.append(float(trainer.train_on_batch(*batch(trainer))[0]))
    return found


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


def test_both_kinds_of_dropout_are_scheduled():
    network = create(0.2, drop_path_rate=0.4)
    scheduled = schedule_dropout(network, "linear:3", EPOCH_STEPS)
    found = {one.name: one for one in scheduled.layers if isinstance(one, ScheduledDropout)}
    for layer in network.layers:
        if getattr(layer, "rate", 0):
            twin = found.pop(layer.name)
            assert (twin.rate, twin.schedule, twin.steps) == (layer.rate, "linear", 12)
            whole = isinstance(layer, vislearn.layers.StochasticDepth)
            assert twin.noise_shape == ((None, 1, 1) if whole else None)
    assert not found


def test_the_network_learns_with_its_twin():
    network = create()
    before, count = values(network), network.count_params()
    trainer = trainer_of(network, "early:1")
    losses(trainer, 2)
    assert any(not np.array_equal(a, b) for a, b in zip(before, values(network), strict=True))
    x, _ = batch(network)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(network(x)), keras.ops.convert_to_numpy(trainer(x))
    )
    assert network.count_params() == count


def test_before_late_and_after_early_dropout_there_is_none():
    without = create(dropout=0)
    without.set_weights(create().get_weights())  # Layers of dropout move the seeds of the others.
    plain = losses(trainer_of(without, None), 6)
    late = losses(trainer_of(create(), "late:1"), 6)
    assert late[:EPOCH_STEPS] == pytest.approx(plain[:EPOCH_STEPS], rel=1e-4)
    assert late[EPOCH_STEPS] != pytest.approx(plain[EPOCH_STEPS], rel=1e-3)
    early = trainer_of(create(), "early:1")
    assert losses(early, 1) != pytest.approx(plain[:1], rel=1e-3)
    losses(early, EPOCH_STEPS - 1)
    for layer in early.layers:
        if isinstance(layer, ScheduledDropout):
            y = np.ones((4, 8), "float32")
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(y, training=True)), y)


def test_a_resumed_training_goes_on_at_its_step(tmp_path):
    first = trainer_of(create(), "linear:2")
    losses(first, 3)
    save_state(tmp_path / "state.npz", first, {})
    second = trainer_of(create(), "linear:2")
    load_state(tmp_path / "state.npz", second)
    assert losses(second, 3) == losses(first, 3)
    steps = {int(one.step) for one in second.layers if isinstance(one, ScheduledDropout)}
    assert steps == {6}


@pytest.mark.tensorflow
def test_a_run_leaves_the_usual_network(tmp_path):
    run = vislearn.training.train(
        "mlp",
        data="digits",
        out=tmp_path / "run",
        options={"units": [16], "dropout": 0.3},
        epochs=2,
        dropout_schedule="early:1",
        quiet=True,
    )
    (layer,) = (one for one in run.model().layers if "dropout" in one.name)
    assert type(layer) is keras.layers.Dropout and layer.rate == 0.3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recipe(dropout_schedule="early"), "dropout_schedule='early' must be early:N"),
        (lambda: schedule_dropout(create(), "soon:3", 1), "dropout_schedule='soon:3'"),
        (lambda: schedule_dropout(create(0), "late:3", 1), "has no dropout; build it with a rate"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
