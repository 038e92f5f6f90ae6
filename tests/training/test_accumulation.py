"""N small batches make the update of one large batch."""

import keras
import numpy as np
import pytest

from vislearn.tasks import get_task
from vislearn.training.accumulation import Accumulated
from vislearn.training.recipes import Recipe, build_optimizer
from vislearn.training.trainers import build_trainer

UPDATES, PARTS, BATCH = 6, 4, 8


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(7, activation="tanh", name="dense")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def trained(optimizer, batch_size):
    """The network after `UPDATES` large batches, handed over in batches of `batch_size`."""
    model = network()
    model.compile(optimizer, "mse")
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(UPDATES * PARTS * BATCH, n)).astype("float32") for n in (5, 3))
    model.fit(x, y, batch_size=batch_size, shuffle=False, verbose=0)
    return model


def averages(optimizer):
    return [keras.ops.convert_to_numpy(v) for v in optimizer._model_variables_moving_average]


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "schedule": "one_cycle", "ema": 0.9},
        {"optimizer": "adamw", "schedule": "cosine", "clip_norm": 0.05},
        {"optimizer": "sgd", "schedule": "constant", "agc": 0.05},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_small_batches_equal_a_large_one(options):
    """Schedule, decay, average and both kinds of clipping, which would differ if counted apart."""
    recipe = Recipe(**{"learning_rate": 0.3, **options})
    large = build_optimizer(recipe, UPDATES)
    small = Accumulated(build_optimizer(recipe, UPDATES), PARTS)
    expected, found = trained(large, PARTS * BATCH), trained(small, BATCH)
    for one, two in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    kernels = [model.get_layer("dense").get_weights()[0] for model in (network(), expected)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert int(small.iterations) == int(large.iterations) == UPDATES
    assert float(small.learning_rate) == pytest.approx(float(large.learning_rate))
    if recipe.ema:
        for one, two in zip(averages(large), averages(small.inner), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-6)


def test_nothing_moves_before_the_last_part():
    model = network()
    model.compile(Accumulated(keras.optimizers.SGD(1.0), 3), "mse")
    before = model.get_weights()
    moved = []
    for _ in range(6):
        model.train_on_batch(np.ones((4, 5), "float32"), np.ones((4, 3), "float32"))
        moved.append(not np.array_equal(before[0], model.get_weights()[0]))
        before = model.get_weights()
    assert moved == [False, False, True] * 2


def test_it_is_saved_and_restored():
    rule = Accumulated(keras.optimizers.Adam(0.1), 3)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(rule))
    assert again.get_config() == rule.get_config()
    assert type(again) is Accumulated


def test_errors():
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        Accumulated(keras.optimizers.SGD(), 0)
    with pytest.raises(ValueError, match="accumulate=0 must be a positive integer"):
        Recipe(accumulate=0)


def test_a_gan_is_refused():
    from vislearn.registry import create_model
    from vislearn.tasks import get_task

    gan = create_model("dcgan", input_shape=(16, 16, 1), width=4, latent=4)
    task = get_task("generation", (), "gan")
    with pytest.raises(ValueError, match=r"accumulate=2: dcgan.* has several losses"):
        build_trainer(gan, task, Recipe(optimizer="adam", accumulate=2), steps=10)


def test_the_rate_is_that_of_the_optimizer_inside():
    rule = Accumulated(keras.optimizers.SGD(0.5), 2)
    rule.learning_rate = 0.25
    assert float(rule.learning_rate) == float(rule.inner.learning_rate) == 0.25


def test_more_steps_than_there_are_would_train_nothing():
    inputs = keras.Input((4,))
    network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    task = get_task("classification", "ab", "mlp")
    assert build_trainer(network, task, Recipe(accumulate=3), steps=3) is network
    with pytest.raises(ValueError, match="accumulate=4 must be at most 3"):
        build_trainer(network, task, Recipe(accumulate=4), steps=3)
