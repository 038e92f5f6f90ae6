"""What diffusion models minimise, and that they learn by it."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.models.generative.diffusion import TINY, ddpm
from vislearn.ops import diffusion
from vislearn.training.diffusion import NoiseObjective
from vislearn.training.trainers import ObjectiveTrainer

SHAPE = (8, 8, 1)


class Recorder:
    """Stands in for a network: keeps its inputs and predicts zeros."""

    def __init__(self, network):
        self.inputs = network.inputs
        self.get_layer = network.get_layer
        self.calls = []

    def __call__(self, inputs, training):
        self.calls.append({key: ops.convert_to_numpy(value) for key, value in inputs.items()})
        return ops.zeros_like(inputs["image"])


def recorder(classes=0):
    return Recorder(ddpm(**{**TINY, "num_classes": classes}))


def test_prediction_gets_the_noisy_picture_and_the_loss_is_its_error():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    noise, t = rng.normal(size=(3, *SHAPE)).astype("float32"), np.array([1, 400, 1000])
    network, objective = recorder(), NoiseObjective("cosine")
    outputs = objective.predict(network, images, t, noise)
    a = diffusion.cosine_schedule()[t][:, None, None, None]
    noisy = np.sqrt(a) * (images / 127.5 - 1) + np.sqrt(1 - a) * noise
    np.testing.assert_allclose(network.calls[0]["image"], noisy, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(network.calls[0]["time"], t)
    loss = objective.loss(None, outputs)
    assert sorted(loss) == sorted(objective.parts)
    assert float(loss["noise_mse"]) == pytest.approx(np.mean(noise**2), rel=1e-5)


def forward(network, objective, count=2000, training=True, seed=0):
    x = {"images": np.zeros((count, *SHAPE), "uint8"), "labels": np.arange(count) % 3}
    generator = keras.random.SeedGenerator(seed)
    return objective.forward(network, x, seed_generator=generator, training=training)


def test_times_and_noise_are_drawn_as_in_algorithm_1():
    network = recorder()
    _, noise = forward(network, NoiseObjective(train_steps=10))
    times = network.calls[0]["time"]
    counts = np.bincount(times.astype(int), minlength=11)
    assert counts[0] == 0
    assert len(counts) == 11
    # Five standard deviations of a count of 2000 draws with probability 1/10.
    assert np.abs(counts[1:] - 200).max() < 5 * np.sqrt(2000 * 0.09)
    noise = ops.convert_to_numpy(noise)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)


def test_labels_are_dropped_in_training_only():
    network = recorder(classes=3)
    labels = np.arange(2000) % 3
    forward(network, NoiseObjective(label_dropout=0.25))
    found = network.calls[-1]["label"]
    dropped = found == 3
    assert dropped.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 2000))
    np.testing.assert_array_equal(found[~dropped], labels[~dropped])
    forward(network, NoiseObjective(label_dropout=0.25), training=False)
    np.testing.assert_array_equal(network.calls[-1]["label"], labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_dropout": 1.5}, "label_dropout=1.5"),
        ({"schedule": "quadratic"}, "schedule='quadratic'"),
        ({"train_steps": 0}, "steps=0"),
    ],
)
def test_refuses_what_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        NoiseObjective(**options)


@pytest.mark.slow
def test_a_short_training_learns_to_see_the_noise():
    keras.utils.set_random_seed(0)
    network = ddpm(**{**TINY, "num_classes": 2, "dropout": 0.0})
    trainer = ObjectiveTrainer(network, NoiseObjective(), seed=0)
    trainer.compile(keras.optimizers.Adam(3e-3))
    # Dark and bright pictures, told by their labels.
    labels = np.arange(256) % 2
    images = np.where(labels, 200, 50)[:, None, None, None] * np.ones(SHAPE)
    x = {"images": images.astype("uint8"), "labels": labels.astype("int32")}
    history = trainer.fit(x, epochs=12, batch_size=32, verbose=0).history
    # A network that says nothing has an error of 1, the variance of the noise.
    assert history["noise_mse"][0] > 0.5
    assert history["noise_mse"][-1] < 0.25
    assert history["loss"][-1] == pytest.approx(history["noise_mse"][-1], rel=1e-3)
