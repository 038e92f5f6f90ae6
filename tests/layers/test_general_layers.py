"""What every general layer has to do: be saved, follow the precision, be exported."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.layers import (
    AdaptiveInstanceNormalization,
    AdaptivePooling2D,
    DropConnect,
    FractionalMaxPooling2D,
    IndexedMaxPooling2D,
    L2Pooling2D,
    MaxUnpooling2D,
    MonteCarloDropout,
    NoiseInjection,
    ScheduledDropout,
)

IMAGE = (7, 6, 3)


class _Unpooled:
    """The pooling and its inverse as one function."""

    def __call__(self, x):
        return MaxUnpooling2D(3, 2, output_size=x.shape[1:3])(IndexedMaxPooling2D(3, 2)(x))


# A function of the inputs, and their shapes.
LAYERS = {
    "adaptive_average": (lambda x: AdaptivePooling2D((3, 4))(x), IMAGE),
    "adaptive_max": (lambda x: AdaptivePooling2D((3, 4), "max")(x), IMAGE),
    "l2": (lambda x: L2Pooling2D(3, 2)(x), IMAGE),
    "fractional": (lambda x: FractionalMaxPooling2D(1.5, seed=0)(x), IMAGE),
    "unpooling": (lambda x: _Unpooled()(x), IMAGE),
    "drop_connect": (lambda x: DropConnect(4, seed=0)(x), (5,)),
    "scheduled_dropout": (lambda x: ScheduledDropout(0.5, "late", 3, seed=0)(x), IMAGE),
    "monte_carlo_dropout": (lambda x: MonteCarloDropout(0.5, seed=0)(x), IMAGE),
    "style": (lambda *x: AdaptiveInstanceNormalization()([*x]), IMAGE, (5,)),
    "noise": (lambda *x: NoiseInjection()([*x]), IMAGE, (7, 6, 1)),
}
# What has random numbers in inference can't be exported, nor twice the same.
DETERMINISTIC = sorted(LAYERS.keys() - {"monte_carlo_dropout"})


def model_of(name: str, policy: str = "float32") -> keras.Model:
    function, *shapes = LAYERS[name]
    with backend.precision(policy):
        inputs = [keras.Input(shape, name=f"{name}{i}") for i, shape in enumerate(shapes)]
        model = keras.Model(inputs, function(*inputs), name=name)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def batch_of(model: keras.Model, count: int = 2) -> list:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(count, *x.shape[1:])).astype("float32") for x in model.inputs]


def test_the_promised_shape_is_the_shape():
    for name in LAYERS:
        model = model_of(name)
        assert tuple(model(batch_of(model)).shape[1:]) == tuple(model.output_shape[1:]), name


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_saved_and_loaded(name, tmp_path):
    model = model_of(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for count in (1, 3):
        x = batch_of(model, count)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x))
        )


@pytest.mark.parametrize("name", LAYERS)
def test_mixed_precision(name):
    """The type is followed, and training has finite gradients everywhere."""
    model = model_of(name, "mixed_bfloat16")
    x = [ops.convert_to_tensor(part) for part in batch_of(model)]
    assert keras.backend.standardize_dtype(model(x, training=True).dtype) == "bfloat16"
    first, *others = x
    gradient = backend.input_gradient(
        lambda value: ops.cast(model([value, *others], training=True), "float32"),
        first,
        model.variables,
    )
    assert np.isfinite(ops.convert_to_numpy(gradient)).all()


@pytest.mark.tensorflow
def test_litert_has_all_of_it_built_in(tmp_path):
    """In one file, since a conversion takes seconds."""
    from vislearn.export.convert import Endpoint
    from vislearn.export.parity import write_format
    from vislearn.export.runtimes import LiteRT
    from vislearn.tasks.base import NOISE, Input, Signature

    models = {name: model_of(name) for name in DETERMINISTIC}
    inputs = {x.name: x for model in models.values() for x in model.inputs}
    model = keras.Model(inputs, {name: one(one.inputs) for name, one in models.items()})
    signature = Signature(
        "predict",
        tuple(Input(name, x.shape[1:], "float32", NOISE) for name, x in inputs.items()),
        lambda tensors: model(tensors, training=False),
        model,
        {},
    )
    write_format(Endpoint(signature), tmp_path, "litert")
    rng = np.random.default_rng(1)
    x = {name: rng.normal(size=(3, *x.shape[1:])).astype("float32") for name, x in inputs.items()}
    found = LiteRT(tmp_path / "model.tflite")(x)
    assert {*found} == {*DETERMINISTIC}
    for name, expected in model(x).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)
