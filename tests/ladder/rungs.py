"""What the rungs of the ladder share: every registered model, at its published and tiny size.

A rung is one test file here, written once and parametrised over `MODELS`, so that an architecture
is tested by being registered.
"""

import functools
import inspect

import keras
import numpy as np
import pytest

import vislearn
from vislearn import registry

MODELS = vislearn.list_models()
every_model = pytest.mark.parametrize("name", MODELS)


def builder(name: str):
    """The function that builds a registered model."""
    return registry._entry(name).builder


def options(name: str) -> dict:
    """All arguments that the tiny configuration is built with, defaults included."""
    info = vislearn.model_info(name)
    parameters = inspect.signature(builder(name)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **info.variant, **info.tiny}


@functools.cache
def representative(name: str) -> str:
    """The first model that is the same network at its tiny size, for the rungs that cost seconds.

    `resnet101` and `resnet152` are `resnet50` there, and there is no need to train all three.
    """
    return next(
        other
        for other in MODELS
        if builder(other) is builder(name) and options(other) == options(name)
    )


def shapes_only(name: str, **arguments) -> keras.Model:
    """A model with shapes but without values.

    In a stateless scope Keras notes how each variable would be initialised and makes no array, so
    that a network of 300 million weights costs no memory and less than a second.
    """
    with keras.StatelessScope(initialize_variables=False):
        model = vislearn.create_model(name, **arguments)
    # Or else the next scope that ends would make all the arrays.
    keras.utils.clear_session(free_memory=False)
    return model


@functools.cache
def published(name: str) -> keras.Model:
    """The published configuration, with shapes but without values."""
    return shapes_only(name)


def tiny(name: str, **more) -> keras.Model:
    """The tiny configuration, newly built."""
    return vislearn.create_model(name, **{**vislearn.model_info(name).tiny, **more})


@functools.cache
def random_tiny(name: str) -> keras.Model:
    """The tiny configuration with `randomise`d weights; shared, so not to be trained."""
    model = tiny(name)
    randomise(model)
    return model


def randomise(model: keras.Model, seed: int = 0) -> None:
    """Gives every weight a value of its own, the same on every backend.

    Newly built networks hold zeros and ones, which hide mistakes in biases and normalisation.
    """
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = rng.normal(size=variable.shape)
        if variable.name == "moving_variance":
            value = np.abs(value) + 0.5
        elif variable.name in ("gamma", "widths"):
            value = 1 + 0.2 * value
        elif len(variable.shape) < 2:
            value = 0.2 * value
        else:
            inputs = np.prod(variable.shape[:-1])
            value = value * np.sqrt(1 / inputs) if inputs > 1 else 0.5 * value
        variable.assign(value.astype("float32"))


def images(model: keras.Model, count: int = 4, seed: int = 0) -> np.ndarray:
    """Pixels 0..255 that a model takes."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (count, *model.input_shape[1:])).astype("float32")


def outputs(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """The answer in inference, as float32."""
    return keras.ops.convert_to_numpy(keras.ops.cast(model(pixels, training=False), "float32"))


def assert_same(found, expected, tolerance: float = 1e-4) -> None:
    """Equal up to `tolerance` of the largest value, of which there has to be one."""
    assert found.shape == expected.shape
    size = np.max(np.abs(expected))
    assert np.isfinite(size)
    assert size > 1e-3
    assert np.max(np.abs(found - expected)) <= tolerance * size


# One name for each network that differs from the others at its tiny size.
NETWORKS = sorted({representative(name) for name in MODELS})
