"""Samplers of diffusion models, with networks whose right answer is known."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import samplers
from vislearn.ops import diffusion
from vislearn.samplers import DDIM, DDPM, SamplingLoop, sample, starting_noise, to_pixels

SHAPE = (4, 4, 1)
STEPS = 20


@keras.saving.register_keras_serializable("tests")
class NoiseOfOnePicture(keras.layers.Layer):
    """The right noise where the data is a single picture; with labels, a constant one of each."""

    def __init__(self, values, **kwargs):
        super().__init__(**kwargs)
        self.values = np.asarray(values, "float32")
        self.table = diffusion.linear_schedule().astype("float32")

    def call(self, inputs):
        t = ops.cast(inputs["time"], "int32")
        picture = ops.convert_to_tensor(self.values)
        if "label" in inputs:
            picture = ops.take(picture, inputs["label"])[:, None, None, None]
        alpha_bar = diffusion.at(ops.convert_to_tensor(self.table), t)
        return diffusion.predict_noise(inputs["image"], picture, alpha_bar)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs["image"].shape, "float32")


PICTURE = np.random.default_rng(3).uniform(-0.9, 0.9, SHAPE).astype("float32")


def perfect(values=PICTURE, classes=False):
    inputs = {"image": keras.Input(SHAPE, name="image"), "time": keras.Input((), name="time")}
    if classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
        # Only for its size, which tells the null label.
        rows = keras.layers.Embedding(len(values), 1, name="label_embedding")(inputs["label"])
        unused = keras.layers.Rescaling(0.0)(keras.layers.Reshape((1, 1, 1))(rows))
        return keras.Model(inputs, NoiseOfOnePicture(values)(inputs) + unused)
    return keras.Model(inputs, NoiseOfOnePicture(values)(inputs))


# Times and steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [DDPM(), DDIM()])
def test_timesteps_go_from_noise_to_the_picture(sampler):
    np.testing.assert_array_equal(sampler.timesteps(4), [1000, 750, 500, 250, 0])
    np.testing.assert_array_equal(sampler.timesteps(1000), np.arange(1000, -1, -1))
    assert np.all(np.diff(sampler.timesteps(333)) < 0)
    for steps in (0, 1001, 2.5):
        with pytest.raises(ValueError, match=f"steps={steps}"):
            sampler.timesteps(steps)


def numbers(seed):
    return np.random.default_rng(seed).normal(size=(2, *SHAPE)).astype("float32")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_ddpm_step_is_algorithm_2(schedule):
    x, prediction, noise, t = 0.1 * numbers(0), 0.1 * numbers(1), numbers(2), 300
    table = diffusion.SCHEDULES[schedule](1000)
    alpha = table[t] / table[t - 1]
    mean = (x - (1 - alpha) / np.sqrt(1 - table[t]) * prediction) / np.sqrt(alpha)
    small = (1 - table[t - 1]) / (1 - table[t]) * (1 - alpha)
    for variance, value in (("small", small), ("large", 1 - alpha)):
        sampler = DDPM(schedule, clip=False, variance=variance)
        found = ops.convert_to_numpy(sampler.step(prediction, t, t - 1, x, noise))
        np.testing.assert_allclose(found, mean + np.sqrt(value) * noise, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sampler", [DDPM(), DDPM(variance="large"), DDIM(), DDIM(eta=1.0)])
def test_the_last_step_adds_no_noise_and_is_clipped(sampler):
    found = ops.convert_to_numpy(sampler.step(numbers(0), 3, 0, 3 * numbers(1), 100 * numbers(2)))
    assert found.min() == pytest.approx(-1)
    assert found.max() == pytest.approx(1)


def test_ddim_step_derives_the_noise_from_the_clipped_picture():
    x, prediction, t, s = numbers(0), numbers(1), 900, 450
    table = diffusion.linear_schedule()
    x_0 = np.clip((x - np.sqrt(1 - table[t]) * prediction) / np.sqrt(table[t]), -1, 1)
    again = (x - np.sqrt(table[t]) * x_0) / np.sqrt(1 - table[t])
    expected = np.sqrt(table[s]) * x_0 + np.sqrt(1 - table[s]) * again
    found = ops.convert_to_numpy(DDIM().step(prediction, t, s, x, 0.0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (DDPM, {"schedule": "quadratic"}, "schedule='quadratic' must be one of"),
        (DDPM, {"train_steps": 0}, "steps=0"),
        (DDPM, {"variance": "learned"}, "variance='learned'"),
        (DDIM, {"eta": 1.5}, "eta=1.5"),
    ],
)
def test_samplers_refuse_what_is_out_of_range(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


# The loop -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [DDPM(), DDPM(variance="large"), DDIM(), DDIM(eta=0.5)])
def test_perfect_network_leads_every_sampler_to_the_picture(sampler):
    found = sample(perfect(), 3, steps=STEPS, sampler=sampler)
    assert found.shape == (3, *SHAPE)
    np.testing.assert_allclose(found, np.stack([PICTURE] * 3), atol=1e-4)


class Normal(keras.layers.Layer):
    """The right noise where every pixel of the data is normal, with this mean and deviation."""

    def __init__(self, mean, deviation, **kwargs):
        super().__init__(**kwargs)
        self.mean, self.deviation = mean, deviation
        self.table = diffusion.linear_schedule().astype("float32")

    def call(self, inputs):
        t = ops.cast(inputs["time"], "int32")
        a = diffusion.at(ops.convert_to_tensor(self.table), t)
        variance = a * self.deviation**2 + 1 - a  # of x_t
        return ops.sqrt(1 - a) * (inputs["image"] - ops.sqrt(a) * self.mean) / variance

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs["image"].shape, "float32")


@pytest.mark.parametrize(
    ("sampler", "steps"),
    [(DDPM(clip=False), 200), (DDIM(clip=False), 250), (DDIM(clip=False, eta=1.0), 200)],
)
def test_samples_have_the_distribution_of_the_data(sampler, steps):
    inputs = {"image": keras.Input(SHAPE, name="image"), "time": keras.Input((), name="time")}
    network = keras.Model(inputs, Normal(0.3, 0.5)(inputs))
    found = sample(network, 500, steps=steps, sampler=sampler, batch_size=500)
    assert found.mean() == pytest.approx(0.3, abs=0.03)
    assert found.std() == pytest.approx(0.5, rel=0.06)
    # Pictures differ from one another in every pixel alike.
    assert found.std(axis=0).min() > 0.4


def test_labels_and_guidance_reach_the_network():
    network = perfect([-0.5, 0.25, 0.0], classes=True)
    assert samplers.null_label(network) == 2
    found = sample(network, 3, steps=STEPS, labels=[0, 1, 2])
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), [-0.5, 0.25, 0.0], atol=1e-4)
    # The noise is linear in the picture, so guidance moves it from the null picture: (1 + w) times.
    found = sample(network, 2, steps=STEPS, labels=[0, 1], guidance=1.0)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), [-1.0, 0.5], atol=1e-3)


class Noisy(keras.layers.Layer):
    def call(self, inputs):
        return ops.sin(3 * inputs["image"])


def wavy():
    inputs = {"image": keras.Input(SHAPE, name="image"), "time": keras.Input((), name="time")}
    return keras.Model(inputs, Noisy()(inputs))


@pytest.mark.parametrize("sampler", [DDPM(), DDIM(), DDIM(eta=1.0)])
def test_a_seed_repeats_and_progress_changes_nothing(sampler):
    network = wavy()
    first = sample(network, 4, steps=45, sampler=sampler, seed=1)
    again = sample(network, 4, steps=45, sampler=sampler, seed=1, progress=True)
    np.testing.assert_allclose(again, first, atol=1e-5)
    other = sample(network, 4, steps=45, sampler=sampler, seed=2)
    assert np.abs(other - first).max() > 0.1


def test_only_samplers_that_draw_depend_on_the_seed_of_the_way():
    noise = starting_noise(wavy(), 2)
    for sampler, differs in ((DDIM(), False), (DDIM(eta=1.0), True), (DDPM(), True)):
        loop = SamplingLoop(wavy(), sampler, 10)
        assert bool(np.abs(loop(noise, seed=1) - loop(noise, seed=2)).max() > 1e-3) is differs


def test_batches_draw_different_noise_on_the_way():
    found = sample(perfect(), 4, steps=STEPS, batch_size=3)
    assert found.shape == (4, *SHAPE)
    noise = starting_noise(wavy(), 1)
    loop = SamplingLoop(wavy(), DDPM(), 10)
    pair = loop(np.concatenate([noise, noise]))
    assert np.abs(pair[0] - pair[1]).max() > 1e-3


def test_loop_is_a_loop_of_steps_in_python():
    network, sampler = wavy(), DDIM()
    x = starting_noise(network, 2)
    found = SamplingLoop(network, sampler, 7)(x)
    times = sampler.timesteps(7)
    for t, s in itertools.pairwise(times):
        prediction = network({"image": ops.convert_to_tensor(x), "time": ops.full((2,), float(t))})
        x = sampler.step(prediction, int(t), int(s), x, 0.0)
    np.testing.assert_allclose(found, ops.convert_to_numpy(x), atol=1e-5)


def test_loop_follows_the_weights():
    inputs = {"image": keras.Input(SHAPE, name="image"), "time": keras.Input((), name="time")}
    layer = keras.layers.Dense(1, kernel_initializer="zeros")
    network = keras.Model(inputs, layer(inputs["image"]))
    loop = SamplingLoop(network, DDIM(clip=False), 5)
    noise = starting_noise(network, 2)
    before = loop(noise)
    layer.kernel.assign([[0.9]])
    assert np.abs(loop(noise) - before).max() > 1e-2


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        (False, {"labels": [0, 1]}, "takes no labels"),
        (False, {"guidance": 1.0}, "guidance=1.0: .* takes no labels"),
        (True, {}, "needs a label for each picture"),
        (True, {"labels": [0]}, "must be 2 integers from 0 to 2"),
        (True, {"labels": [0, 3]}, "must be 2 integers from 0 to 2"),
        (True, {"labels": [0, 1], "guidance": -1.0}, "guidance=-1.0"),
        (False, {"batch_size": 0}, "batch_size=0"),
    ],
)
def test_sample_refuses_what_does_not_fit(classes, options, message):
    network = perfect([0.0, 0.0, 0.0], classes=True) if classes else perfect()
    with pytest.raises(ValueError, match=message):
        sample(network, 2, steps=2, **options)


def test_pixels_are_rounded_and_clipped():
    found = ops.convert_to_numpy(to_pixels(np.array([-2, -1, 0, 0.5, 1, 1.5], "float32")))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [0, 0, 128, 191, 255, 255])
