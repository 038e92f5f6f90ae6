"""DCGAN's generator and discriminator."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.models.generative import gan


def tiny(**options):
    return vislearn.create_model("dcgan", **{**vislearn.model_info("dcgan").tiny, **options})


@pytest.mark.parametrize(
    ("shape", "smallest", "convolutions"),
    [((64, 64, 3), 4, 4), ((32, 32, 3), 4, 3), ((28, 28, 1), 7, 2)],
)
def test_sizes(shape, smallest, convolutions):
    generator = tiny(input_shape=shape)
    discriminator = tiny(input_shape=shape, part="discriminator")
    assert generator.output_shape == discriminator.input_shape == (None, *shape)
    assert generator.input_shape == (None, 8)
    assert discriminator.output_shape == (None, 1)
    last_width = 8 * 2 ** (convolutions - 1)
    assert generator.get_layer("reshape").output.shape[1:] == (smallest, smallest, last_width)
    for model, kind in (
        (generator, keras.layers.Conv2DTranspose),
        (discriminator, keras.layers.Conv2D),
    ):
        assert sum(type(layer) is kind for layer in model.layers) == convolutions


def test_published_discriminator():
    """The table in the module's docstring."""
    assert vislearn.create_model("dcgan", part="discriminator").count_params() == 17_236_352


def test_where_the_paper_normalises():
    """Not the generator's output, nor the discriminator's input (section 3)."""
    kinds = [type(layer).__name__ for layer in tiny().layers]
    assert kinds[-3:] == ["ReLU", "Conv2DTranspose", "Activation"]
    found = [type(layer).__name__ for layer in tiny(part="discriminator").layers]
    assert found[1:6] == ["Conv2D", "LeakyReLU", "Conv2D", "BatchNormalization", "LeakyReLU"]


def test_initial_weights():
    keras.utils.set_random_seed(0)
    for part in gan.PARTS:
        model = vislearn.create_model("dcgan", part=part, input_shape=(32, 32, 3), width=32)
        kernels = [np.ravel(w) for w in model.weights if w.name == "kernel"]
        gains = [np.ravel(w) for w in model.weights if w.name == "gamma"]
        assert np.std(np.concatenate(kernels)) == pytest.approx(0.02, rel=0.02)
        assert np.mean(np.concatenate(gains)) == pytest.approx(1, abs=0.01)
        assert np.std(np.concatenate(gains)) == pytest.approx(0.02, rel=0.2)


def test_opponent_mirrors_the_generator():
    with vislearn.backend.precision("mixed_bfloat16"):
        generator = tiny(width=12, kernel_size=4)
        expected = tiny(width=12, kernel_size=4, part="discriminator")
    found = gan.opponent(generator)
    assert [w.shape for w in found.weights] == [w.shape for w in expected.weights]
    assert found.layers[1].compute_dtype == "bfloat16"
    with pytest.raises(ValueError, match="is none that `dcgan` built"):
        gan.opponent(expected)


def test_pixels():
    np.testing.assert_array_equal(gan.pixels(np.array([-1.0, 0.0, 1.0])), [0, 128, 255])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": "critic"}, "part='critic' must be one of"),
        ({"num_classes": 10}, "num_classes=10 must be 0"),
        ({"classifier_activation": "sigmoid"}, "classifier_activation='sigmoid' must be None"),
        ({"preprocessing": "unit"}, "preprocessing='unit' must be None"),
        ({"latent": 0}, "latent=0 must be at least 1"),
        ({"input_shape": (30, 15, 3)}, "height and width must be even"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)
