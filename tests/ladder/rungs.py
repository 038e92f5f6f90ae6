"""What the rungs of the ladder share: every registered model, at its published and tiny size.

A rung is one test file here, written once and parametrised over `MODELS`, so that an architecture
is tested by being registered.
"""

import contextlib
import functools
import inspect

import keras
import numpy as np
import pytest

import vislearn
from vislearn import registry
from vislearn.backend import compiled
from vislearn.catalogue import build_shapes
from vislearn.tasks import Task, get_task
from vislearn.training.recipes import Recipe
from vislearn.training.trainers import build_trainer

MODELS = vislearn.list_models()
# For what only some can be asked: a test that is for these is listed in `test_complete`.
CLASSIFIERS = vislearn.list_models("classification")
OTHERS = [name for name in MODELS if name not in CLASSIFIERS]


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


# One name for each network that differs from the others at its tiny size.
NETWORKS = sorted({representative(name) for name in MODELS})
# Those that are fast tests: one of each builder, and what differs enough to stand beside it.
FAST = {min(n for n in NETWORKS if builder(n) is builder(network)) for network in NETWORKS}
FAST |= {"resnet50", "resnet20_cifar"}

# One of each kind of block and of work, for rungs that take many seconds a network.
TYPICAL = {
    "cifar_cnn",
    "conv_vae",
    "convnext_base",
    "dcgan",
    "deep_phurie",
    "densenet121",
    "dinov2_base",
    "gmlp_s16",
    "mobilenet_v2",
    "resnet20_cifar",
    "retinanet",
    "unet",
}
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
# JAX compiles for up to half a minute what TensorFlow runs as it comes.
TRAINED = FAST if ON_TENSORFLOW else TYPICAL


def each_in_turn(names, fast=FAST):
    """Parametrises a test that costs seconds: slow tests but for the networks that are `fast`."""
    return pytest.mark.parametrize(
        "name",
        [
            name if representative(name) in fast else pytest.param(name, marks=pytest.mark.slow)
            for name in names
        ],
    )


def selected(request) -> list[str]:
    """The networks that the selected tests of a module ask for."""
    return sorted(
        {
            representative(item.callspec.params["name"])
            for item in request.session.items
            if item.module is request.module and hasattr(item, "callspec")
        }
    )


every_model = pytest.mark.parametrize("name", MODELS)
every_network = each_in_turn(MODELS)
every_classifier = each_in_turn(CLASSIFIERS)
# What can differ on JAX are the operations of a builder, and of those its tiny network has all.
every_published = every_model if ON_TENSORFLOW else each_in_turn(MODELS, TYPICAL)


@functools.cache
def published(name: str) -> keras.Model:
    """The published configuration, with shapes but without values."""
    return build_shapes(name)


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
        elif variable.name in ("gamma", "gain", "widths"):
            value = 1 + 0.2 * value
        elif len(variable.shape) < 2:
            value = 0.2 * value
        else:
            inputs = np.prod(variable.shape[:-1])
            value = value * np.sqrt(1 / inputs) if inputs > 1 else 0.5 * value
        variable.assign(value.astype("float32"))


def task(name: str) -> Task:
    """The task of a tiny model, its classes made up."""
    info = vislearn.model_info(name)
    classes = [f"class {number}" for number in range(info.tiny["num_classes"])]
    return get_task(info.task, classes, info.family)


def takes_pixels(name: str) -> bool:
    """Whether a model takes pictures as they are, and not noise."""
    return task(name).takes_images


def inputs(model: keras.Model, count: int = 4, seed: int = 0):
    """What a tiny model takes: pixels 0..255, or noise and whatever else its inputs name."""
    rng = np.random.default_rng(seed)
    found = {}
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        if tensor.name == "time":
            value = rng.integers(1, 1001, shape).astype("float32")
        elif tensor.name == "label":
            value = rng.integers(0, vislearn.model_info(model.name).tiny["num_classes"], shape)
        elif takes_pixels(model.name):
            value = rng.uniform(0, 255, shape).astype("float32")
        else:
            value = rng.normal(size=shape).astype("float32")
        found[tensor.name] = value
    return found if isinstance(model.input, dict) else found.popitem()[1]


def example(name: str, count: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch of the data set that a tiny model learns from: dark and bright quarters, in noise."""
    info, rng = vislearn.model_info(name), np.random.default_rng(seed)
    height, width, channels = info.tiny["input_shape"]
    classes = info.tiny["num_classes"]
    bright = rng.integers(0, 2, (count, 2, 2, channels)).astype("float32")
    bright = bright.repeat(height // 2, axis=1).repeat(width // 2, axis=2)
    images = 40 + 175 * bright + rng.uniform(-40, 40, bright.shape)
    found = {"images": images.astype("float32")}
    if info.task == "detection":
        # Two objects and a row that is none; one covers half of the picture, one a quarter.
        box = np.array([width, height, width, height], "float32")
        places = [[0.1, 0.1, 0.8, 0.8], [0.4, 0.5, 0.9, 1.0], [0, 0, 0, 0]]
        found["boxes"] = np.tile(np.array(places, "float32") * box, (count, 1, 1))
        found["labels"] = rng.integers(0, classes, (count, 3)).astype("int32")
        found["labels"][:, 2] = -1
    elif info.task == "semantic_segmentation":
        found["masks"] = bright[..., 0].astype("uint8")
    elif info.task == "regression":
        # How bright each picture is.
        found["targets"] = np.tile(images.mean(axis=(1, 2, 3))[:, None] / 255, classes)
        found["targets"] = found["targets"].astype("float32")
    elif classes:
        found["labels"] = (np.arange(count) % classes).astype("int32")
    return found


def trainer(name: str, recipe: Recipe, steps: int = 1, seed: int = 0):
    """A newly built tiny model and what trains it, and a function that takes one step on `x, y`."""
    model = tiny(name)
    built = build_trainer(model, task(name), recipe, steps, seed)
    return model, built


def step(built: keras.Model, name: str, batch: dict[str, np.ndarray]) -> dict[str, float]:
    """The losses of one training step."""
    x, y = task(name).target(batch)
    found = built.train_on_batch(x, y, return_dict=True)
    return {key: float(value) for key, value in found.items()}


@contextlib.contextmanager
def same_noise():
    """Inside, Keras draws the same numbers on every backend: those of NumPy."""

    def drawn(draw, kind="float32"):
        def replacement(shape, *args, seed=None, dtype=None, **options):
            size = tuple(int(side) for side in shape)
            value = draw(np.random.default_rng(0), size, *args, **options)
            return keras.ops.convert_to_tensor(
                value, keras.backend.standardize_dtype(dtype or kind)
            )

        return replacement

    replacements = {
        "normal": drawn(lambda rng, size, mean=0.0, stddev=1.0: rng.normal(mean, stddev, size)),
        "uniform": drawn(
            lambda rng, size, minval=0.0, maxval=1.0: rng.uniform(minval, maxval, size)
        ),
        "randint": drawn(
            lambda rng, size, minval, maxval: rng.integers(minval, maxval, size), "int32"
        ),
    }
    before = {name: getattr(keras.random, name) for name in replacements}
    for name, replacement in replacements.items():
        setattr(keras.random, name, replacement)
    try:
        yield
    finally:
        for name, original in before.items():
            setattr(keras.random, name, original)


def losses_on_same_noise(name: str) -> dict[str, float]:
    """The losses of the shared random weights on one batch, without dropout."""
    _, built = trainer(name, Recipe(label_smoothing=0.0))
    randomise(built)
    # A graph of TensorFlow's would hide the shapes; JAX would compile each operation by itself.
    built.run_eagerly = keras.backend.backend() == "tensorflow"
    x, y = task(name).target(example(name))
    with same_noise():
        found = built.test_on_batch(x, y, return_dict=True)
    return {key: float(value) for key, value in found.items()}


def outputs(model: keras.Model, x):
    """The answer in inference, as float32: an array, or a dictionary of them."""

    def answer(x):
        return model(x, training=False)

    if keras.backend.backend() != "tensorflow":  # JAX would compile each operation by itself.
        answer = compiled(answer, model)
    return keras.tree.map_structure(
        lambda value: keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")), answer(x)
    )


def assert_same(found, expected, tolerance: float = 1e-4) -> None:
    """Equal up to `tolerance` of the largest value, of which there has to be one."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value, tolerance)
        return
    assert found.shape == expected.shape
    size = np.max(np.abs(expected))
    assert np.isfinite(size)
    assert size > 1e-3
    assert np.max(np.abs(found - expected)) <= tolerance * size


def save_arrays(path, arrays) -> None:
    """Writes an array, or a dictionary of arrays, to one `.npz` file."""
    np.savez(path, **(arrays if isinstance(arrays, dict) else {"only": arrays}))


def load_arrays(path):
    """What `save_arrays` wrote."""
    with np.load(path) as file:
        return file["only"] if file.files == ["only"] else dict(file)
