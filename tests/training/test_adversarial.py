"""Alternating training: on both backends, resumed, and that it trains what it should."""

import os
import subprocess
import sys
from pathlib import Path

import alternating_steps
import keras
import numpy as np
import pytest

from vislearn import backend
from vislearn.models.generative.gan import dcgan
from vislearn.training.adversarial import AdversarialTrainer, OptimizerGroup
from vislearn.training.checkpoint import load_state, save_state

SMALL = {"input_shape": (16, 16, 1), "num_classes": 0, "width": 4, "latent": 3}
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 1)).astype("uint8")


def build(*, rates=(2e-3, 2e-3), seed=0, ema=False, **options):
    keras.utils.set_random_seed(seed)
    trainer = AdversarialTrainer(dcgan(**SMALL), dcgan(part="discriminator", **SMALL), **options)
    trainer.compile(
        {
            "discriminator": keras.optimizers.Adam(rates[0], beta_1=0.5),
            "generator": keras.optimizers.Adam(rates[1], beta_1=0.5, use_ema=ema),
        }
    )
    return trainer


def values(variables):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def fit(trainer, epochs, images=IMAGES):
    return trainer.fit(images, batch_size=16, epochs=epochs, shuffle=False, verbose=0).history


@pytest.fixture(scope="module")
def both_backends(tmp_path_factory):
    """What alternating_steps.py finds here, and what it finds on JAX."""
    folder = tmp_path_factory.mktemp("steps")
    alternating_steps.main(folder / "here.npz")
    script = Path(alternating_steps.__file__)
    on_jax = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, script, folder / "jax.npz"], check=True, env=on_jax)
    found = []
    for name in ("here", "jax"):
        with np.load(folder / f"{name}.npz") as arrays:
            found.append(dict(arrays))
    return found


@pytest.mark.tensorflow
def test_both_backends_take_the_same_steps(both_backends):
    ours, theirs = both_backends
    assert sorted(ours) == sorted(theirs)
    names = {"loss", "discriminator_loss", "generator_loss"}
    for kind in ("history", "validation"):
        assert {name.split("/")[1] for name in ours if name.startswith(kind)} == names
    for name, expected in theirs.items():
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(ours[name], expected, atol=1e-4, rtol=1e-4, err_msg=name)
        elif expected.shape == ():
            assert ours[name] == expected, name
    assert ours["history/loss"].shape == (3,)
    assert np.ptp(ours["history/loss"]) > 1e-3


@pytest.mark.parametrize("loss", ["minimax", "non_saturating", "least_squares", "hinge"])
def test_the_discriminator_learns(loss):
    history = fit(build(rates=(2e-2, 1e-5), loss=loss), epochs=5)
    assert history["discriminator_loss"][-1] < 0.7 * history["discriminator_loss"][0]


def test_the_critic_learns():
    """Its loss has no lower bound, and starts near 0."""
    history = fit(build(rates=(2e-2, 1e-5), loss="wasserstein"), epochs=5)
    assert history["discriminator_loss"][-1] < history["discriminator_loss"][0] - 1


def test_the_generator_learns():
    history = fit(build(rates=(1e-5, 2e-2)), epochs=5)
    assert history["generator_loss"][-1] < 0.8 * history["generator_loss"][0]


def test_the_sum_is_the_loss():
    history = fit(build(), epochs=1)
    total = history["discriminator_loss"][0] + history["generator_loss"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)


def test_each_phase_updates_its_own_network():
    for rates, still, moving in (
        ((1e-2, 0.0), "network", "discriminator"),
        ((0.0, 1e-2), "discriminator", "network"),
    ):
        trainer = build(rates=rates)
        before = {
            name: values(getattr(trainer, name).trainable_variables) for name in (still, moving)
        }
        statistics = values(trainer.non_trainable_variables)
        fit(trainer, epochs=1)
        for old, new in zip(
            before[still], values(getattr(trainer, still).trainable_variables), strict=True
        ):
            np.testing.assert_array_equal(old, new)
        moved = [
            np.abs(old - new).max()
            for old, new in zip(
                before[moving], values(getattr(trainer, moving).trainable_variables), strict=True
            )
        ]
        assert min(moved) > 1e-4
        # Statistics of batch norm and the state of the noise, in both networks.
        changed = [
            np.any(old != new)
            for old, new in zip(statistics, values(trainer.non_trainable_variables), strict=True)
        ]
        assert all(changed)


def test_validation_changes_no_weight():
    trainer = build()
    before = values(trainer.weights)
    found = trainer.evaluate(IMAGES, batch_size=16, verbose=0, return_dict=True)
    assert sorted(found) == ["discriminator_loss", "generator_loss", "loss"]
    for old, new in zip(before, values(trainer.weights), strict=True):
        np.testing.assert_array_equal(old, new)


def test_steps_of_the_discriminator_share_the_batch():
    """Three updates for one of the generator, each on a third of the pictures."""
    seen = []

    class Watching(AdversarialTrainer):
        def discriminator_loss(self, images, training):
            seen.append(("discriminator", keras.ops.convert_to_numpy(images)[:, 0, 0, 0].tolist()))
            return super().discriminator_loss(images, training)

        def generator_loss(self, images, training):
            seen.append(("generator", len(images)))
            return super().generator_loss(images, training)

    trainer = Watching(dcgan(**SMALL), dcgan(part="discriminator", **SMALL), discriminator_steps=3)
    names = ("discriminator", "generator")
    trainer.compile({name: keras.optimizers.SGD(0.01) for name in names}, run_eagerly=True)
    numbered = np.zeros((9, 16, 16, 1), "float32") + np.arange(9).reshape(9, 1, 1, 1)
    trainer.fit(numbered, batch_size=9, shuffle=False, verbose=0)
    assert seen == [
        ("discriminator", [0, 3, 6]),
        ("discriminator", [1, 4, 7]),
        ("discriminator", [2, 5, 8]),
        ("generator", 9),
    ]
    discriminator, generator = trainer.optimizer.optimizers
    assert (int(discriminator.iterations), int(generator.iterations)) == (3, 1)


def test_resumed_equals_unbroken(tmp_path):
    """Both networks, both optimisers with their moments, the averages and the noise go on."""
    whole = build(ema=True)
    fit(whole, epochs=1)
    save_state(tmp_path / "state.npz", whole, {"epoch": 1})
    fit(whole, epochs=2)

    # Another start, which has to be forgotten; the arrays come in the same order.
    resumed = build(ema=True, seed=7)
    assert load_state(tmp_path / "state.npz", resumed) == {"epoch": 1}
    fit(resumed, epochs=2)
    pairs = zip(
        values([*whole.variables, *whole.optimizer.variables]),
        values([*resumed.variables, *resumed.optimizer.variables]),
        strict=True,
    )
    for one, two in pairs:
        np.testing.assert_array_equal(one, two)


def test_the_state_of_both_optimisers_is_kept():
    trainer = build(ema=True)
    shapes = [tuple(v.shape) for v in trainer.optimizer.variables if len(v.shape)]
    discriminator = [tuple(v.shape) for v in trainer.discriminator.trainable_variables]
    generator = [tuple(v.shape) for v in trainer.network.trainable_variables]
    # Two moments each, and the average of the generator's weights.
    assert sorted(shapes) == sorted(2 * discriminator + 3 * generator)


def test_averages_replace_the_weights_when_fit_ends():
    trainer = build(ema=True)
    fit(trainer, epochs=2)
    generator = trainer.optimizer.by_name["generator"]
    averages = values(generator._model_variables_moving_average)
    for weight, average in zip(values(trainer.network.trainable_variables), averages, strict=True):
        np.testing.assert_array_equal(weight, average)


def test_the_group_is_serialisable():
    parts = {"a": keras.optimizers.Adam(0.25), "b": keras.optimizers.SGD(0.5)}
    group = OptimizerGroup(parts)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(group))
    assert [type(one) for one in copy.optimizers] == [
        keras.optimizers.Adam,
        keras.optimizers.SGD,
    ]
    assert float(copy.learning_rate) == 0.5


def test_bfloat16():
    with backend.precision("mixed_bfloat16"):
        trainer = build()
    history = fit(trainer, epochs=2)
    assert all(np.isfinite(value).all() for value in history.values())
    assert {weight.dtype for weight in trainer.weights} == {"float32"}
    assert keras.backend.standardize_dtype(trainer.network.output.dtype) == "float32"


def test_gradient_penalty():
    """Of a linear critic the gradient is its weights, everywhere."""
    image = keras.Input((16, 16, 1))
    linear = keras.layers.Dense(1)
    critic = keras.Model(image, linear(keras.layers.Flatten()(image)))
    trainers = [
        AdversarialTrainer(dcgan(**SMALL), critic, "wasserstein", gradient_penalty=weight)
        for weight in (0.0, 10.0)
    ]
    norm = np.linalg.norm(keras.ops.convert_to_numpy(linear.kernel))
    assert abs(norm - 1) > 0.1
    # The same generator and the same noise in both.
    trainers[1].network.set_weights(trainers[0].network.get_weights())
    plain, penalised = (float(t.discriminator_loss(IMAGES, False)) for t in trainers)
    assert penalised - plain == pytest.approx(10 * (norm - 1) ** 2, rel=1e-3)


def test_errors():
    generator, other = dcgan(**SMALL), dcgan(part="discriminator", **SMALL)
    larger = dcgan(part="discriminator", **{**SMALL, "input_shape": (32, 32, 1)})
    with pytest.raises(
        ValueError, match=r"discriminator takes pictures of the shape \(32, 32, 1\)"
    ):
        AdversarialTrainer(generator, larger)
    with pytest.raises(ValueError, match="discriminator_steps=0 must be at least 1"):
        AdversarialTrainer(generator, other, discriminator_steps=0)
    with pytest.raises(ValueError, match="gradient_penalty=-1 must be at least 0"):
        AdversarialTrainer(generator, other, gradient_penalty=-1)
    with pytest.raises(ValueError, match="loss='chess'"):
        AdversarialTrainer(generator, other, loss="chess")
    trainer = AdversarialTrainer(generator, other)
    with pytest.raises(ValueError, match=r"\['generator'\] must be one for each of"):
        trainer.compile({"generator": keras.optimizers.Adam(1e-3)})
    with pytest.raises(ValueError, match="part by part"):
        OptimizerGroup({"a": keras.optimizers.SGD(0.1)}).apply([])
    with pytest.raises(ValueError, match="built by build_parts"):
        OptimizerGroup({"a": keras.optimizers.SGD(0.1)}).build([])
