"""The tasks of variational and adversarial networks."""

import dataclasses

import keras
import numpy as np
import pytest

import vislearn
from vislearn.models.generative import vae
from vislearn.tasks import Adversarial, Variational, get_task
from vislearn.training.adversarial import AdversarialTrainer
from vislearn.training.recipes import Recipe
from vislearn.training.trainers import build_trainer

pytestmark = pytest.mark.tensorflow

RECIPE = Recipe(optimizer="adam", learning_rate=2e-3, momentum=0.5, weight_decay=0.0)
NETWORKS = [("vae", Variational), ("conv_vae", Variational), ("dcgan", Adversarial)]


def tiny(name, **options):
    keras.utils.set_random_seed(0)
    return vislearn.create_model(name, **{**vislearn.model_info(name).tiny, **options})


@pytest.mark.parametrize(("name", "kind"), NETWORKS)
def test_every_family_has_its_task(name, kind):
    info = vislearn.model_info(name)
    task = get_task(info.task, (), info.family)
    assert type(task) is kind
    assert task.num_classes(info.num_classes) == 0
    task.check_model(tiny(name))


@pytest.mark.parametrize("name", ["vae", "conv_vae"])
def test_variational_training(name):
    """The bound rises on real digits, and what is measured agrees with what is trained."""
    from sklearn.datasets import load_digits

    digits = np.clip(load_digits().images * 16, 0, 255).astype("uint8")[:512, :, :, np.newaxis]
    network = tiny(name, input_shape=(8, 8, 1), hidden=64)
    task = Variational(())
    recipe = dataclasses.replace(RECIPE, learning_rate=1e-2, momentum=0.9)
    trainer = build_trainer(network, task, recipe, steps=16 * 40)
    x, y = task.target({"images": digits.astype("float32")})
    before = trainer.evaluate(x, y, verbose=0, return_dict=True)
    history = trainer.fit(x, y, batch_size=32, epochs=40, verbose=0).history
    after = trainer.evaluate(x, y, verbose=0, return_dict=True)
    assert sorted(after) == ["divergence", "loss", "reconstruction"]
    assert after["loss"] == pytest.approx(after["reconstruction"] + after["divergence"], rel=1e-4)
    assert after["loss"] < 0.75 * before["loss"]
    assert history["loss"][-1] == pytest.approx(after["loss"], rel=0.1)

    answers = task.decode(network(x, training=False))
    found = task.measure(
        {key: np.asarray(value) for key, value in answers.items()}, {"images": digits}
    )
    assert sorted(found) == ["elbo_at_mean", "reconstruction_psnr"]
    assert found["elbo_at_mean"] == pytest.approx(-after["loss"], rel=0.1)
    # Better than the best constant picture.
    pixels = digits / 255.0
    constant = -10 * np.log10(np.mean((pixels - pixels.mean(axis=0)) ** 2))
    assert found["reconstruction_psnr"] > constant + 1


def test_measures_of_known_answers():
    images = np.full((2, 2, 2, 1), 255, "uint8")
    answers = {
        "reconstruction": np.full((2, 2, 2, 1), 0.9, "float32"),
        "mean": np.full((2, 3), 1.0, "float32"),
        "log_variance": np.zeros((2, 3), "float32"),
    }
    found = Variational(()).measure(answers, {"images": images})
    assert found["reconstruction_psnr"] == pytest.approx(20, abs=1e-4)
    assert found["elbo_at_mean"] == pytest.approx(4 * np.log(0.9) - 1.5, abs=1e-5)


def test_objective_options():
    network = tiny("vae")
    outputs = network(np.zeros((2, 8, 8, 1), "float32"))
    images = np.full((2, 8, 8, 1), 51.0, "float32")
    plain, weighted, gaussian = (
        Variational(()).objective(network, Recipe(objective=options)).loss(images, outputs)
        for options in ({}, {"beta": 4.0}, {"likelihood": "gaussian", "deviation": 0.5})
    )
    assert float(weighted["divergence"]) == pytest.approx(4 * float(plain["divergence"]), rel=1e-5)
    assert float(weighted["reconstruction"]) == float(plain["reconstruction"])
    mean = 1 / (1 + np.exp(-np.asarray(outputs["reconstruction"], "float64")))
    density = np.exp(-2 * (0.2 - mean) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    expected = -np.log(density).sum(axis=(1, 2, 3)).mean()
    assert float(gaussian["reconstruction"]) == pytest.approx(expected, rel=1e-4)
    for options, message in (
        ({"beta": -1}, "beta=-1 must be at least 0"),
        ({"likelihood": "poisson"}, "likelihood='poisson' must be one of"),
        ({"deviation": 0}, "deviation=0 must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            Variational(()).objective(network, Recipe(objective=options))


def test_adversarial_training():
    network = tiny("dcgan")
    options = {"loss": "hinge", "discriminator_steps": 2, "discriminator_rate": 0.25}
    recipe = Recipe(
        optimizer="adam", learning_rate=4e-3, schedule="constant", ema=0.5, objective=options
    )
    task = Adversarial(())
    trainer = build_trainer(network, task, recipe, steps=4, seed=1)
    assert isinstance(trainer, AdversarialTrainer)
    assert trainer.network is network
    discriminator, generator = trainer.optimizer.optimizers
    assert float(generator.learning_rate) == pytest.approx(4e-3)
    assert float(discriminator.learning_rate) == pytest.approx(1e-3)
    assert (generator.use_ema, discriminator.use_ema) == (True, False)
    images = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3)).astype("uint8")
    x, y = task.target({"images": images})
    before = task.samples(network, 5, seed=3)
    history = trainer.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = task.samples(network, 5, seed=3)
    assert before.shape == after.shape == (5, 16, 16, 3)
    assert before.dtype == np.uint8
    assert np.any(before != after)
    np.testing.assert_array_equal(after, task.samples(network, 5, seed=3))
    with pytest.raises(ValueError, match=r"objective has no options \['chess'\]"):
        build_trainer(network, task, Recipe(objective={"chess": 1}), steps=4)


@pytest.mark.parametrize(("name", "kind"), NETWORKS)
def test_signatures(name, kind):
    """What is exported: names, types and shapes, and that both halves are the network's."""
    network = tiny(name)
    found = {}
    for signature in kind(()).signatures(network):
        inputs = signature.samples(3)
        assert sorted(inputs) == [item.name for item in signature.inputs]
        answers = signature.function(inputs)
        assert sorted(answers) == sorted(signature.meanings)
        if signature.shows:
            assert keras.backend.standardize_dtype(answers[signature.shows].dtype) == "uint8"
        found[signature.name] = (inputs, answers)
    if kind is Adversarial:
        assert sorted(found) == ["generator"]
        images = network(found["generator"][0]["noise"], training=False)
        expected = np.round(127.5 * (np.asarray(images) + 1))
        np.testing.assert_allclose(found["generator"][1]["image"], expected, atol=1)
    else:
        assert sorted(found) == ["decoder", "encoder"]
        inputs, codes = found["encoder"]
        whole = network(inputs["image"].astype("float32"), training=False)
        np.testing.assert_allclose(codes["mean"], whole["mean"], atol=1e-5)
        decoded = vae.sample(vae.decoder(network), found["decoder"][0]["latent"])
        np.testing.assert_array_equal(found["decoder"][1]["image"], decoded)


def test_tasks_refuse_each_other():
    with pytest.raises(ValueError, match="must answer a dictionary"):
        Variational(()).check_model(tiny("dcgan"))
    with pytest.raises(ValueError, match="must be a generator"):
        Adversarial(()).check_model(tiny("dcgan", part="discriminator"))


@pytest.mark.parametrize("count", [3, 12, 14])
def test_reconstructions_are_drawn_below_their_pictures(count):
    images = np.zeros((count, 8, 8, 1), "uint8")
    answers = {"reconstruction": np.ones((count, 8, 8, 1), "float32")}
    figure = Variational(()).draw(images, answers, None)
    shown = [int(np.asarray(axes.images[0].get_array()).max()) for axes in figure.axes]
    columns = min(count, 12)
    full, rest = divmod(count, columns)
    expected = (columns * [0] + columns * [255]) * full
    if rest:
        expected += rest * [0] + (columns - rest) * [255] + columns * [255]
    assert shown == expected


def test_description_names_the_largest_variables():
    answers = {"mean": np.array([[0.1, -3.0, 2.0]])}
    assert Variational(()).describe(answers, 0, top=2) == [("latent 1", -3.0), ("latent 2", 2.0)]
