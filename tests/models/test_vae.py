"""Variational autoencoders: their parts, and that they learn."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.models.generative import vae

NAMES = ("vae", "conv_vae")


def tiny(name, **options):
    keras.utils.set_random_seed(0)
    return vislearn.create_model(name, **{**vislearn.model_info(name).tiny, **options})


def pictures(model, count=4):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


@pytest.mark.parametrize("name", NAMES)
def test_encoder_and_decoder_are_the_whole(name):
    model = tiny(name)
    images = pictures(model)
    whole = model(images)
    codes = vae.encoder(model)(images)
    decoder = vae.decoder(model)
    np.testing.assert_allclose(codes["mean"], whole["mean"], atol=1e-6)
    np.testing.assert_allclose(codes["log_variance"], whole["log_variance"], atol=1e-6)
    np.testing.assert_allclose(decoder(codes["mean"]), whole["reconstruction"], atol=1e-5)
    parts = [*vae.encoder(model).weights, *decoder.weights]
    assert {id(weight) for weight in parts} == {id(weight) for weight in model.weights}


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_drawn_in_training_only(name):
    model = tiny(name)
    images = pictures(model)
    answers = [
        np.asarray(model(images, training=training)["reconstruction"])
        for training in (False, False, True, True)
    ]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.abs(answers[2] - answers[0]).max() > 1e-3
    assert np.abs(answers[2] - answers[3]).max() > 1e-3


def test_outputs_are_float32_in_mixed_precision():
    with vislearn.backend.precision("mixed_bfloat16"):
        model = tiny("conv_vae")
    answers = model(pictures(model))
    assert {keras.backend.standardize_dtype(value.dtype) for value in answers.values()} == {
        "float32"
    }


def test_reconstruction_and_interpolation():
    model = tiny("conv_vae")
    first, second = np.round(pictures(model, 2)).astype("uint8")
    both = np.asarray(vae.reconstruct(model, np.stack([first, second])))
    between = np.asarray(vae.interpolate(model, first, second, steps=5))
    assert both.dtype == between.dtype == np.uint8
    np.testing.assert_array_equal(between[[0, -1]], both)
    codes = np.asarray(vae.encoder(model)(np.stack([first, second]).astype("float32"))["mean"])
    middle = np.asarray(vae.sample(vae.decoder(model), codes.mean(axis=0, keepdims=True)))
    np.testing.assert_array_equal(between[2], middle[0])
    with pytest.raises(ValueError, match="steps=1 must be at least 2"):
        vae.interpolate(model, first, second, steps=1)


def test_pixels():
    logits = np.array([-50.0, 0.0, 50.0])
    np.testing.assert_array_equal(vae.pixels(logits), [0, 128, 255])


@pytest.mark.parametrize(
    ("shape", "stages"), [((32, 32, 3), 3), ((28, 28, 1), 2), ((8, 24, 1), 1), ((20, 40, 1), 2)]
)
def test_halvings(shape, stages):
    assert vae.halvings(shape) == stages
    model = vislearn.create_model("conv_vae", input_shape=shape, width=4, hidden=8, latent=2)
    assert model.output["reconstruction"].shape == (None, *shape)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 3}, "num_classes=3 must be 0"),
        ({"classifier_activation": "softmax"}, "classifier_activation='softmax' must be None"),
        ({"latent": 0}, "latent=0 must be at least 1"),
        ({"input_shape": (27, 28, 1)}, r"input_shape=\(27, 28, 1\): height and width must be even"),
        ({"input_shape": (6, 6, 1)}, "at least 8"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        tiny("conv_vae", **options)
