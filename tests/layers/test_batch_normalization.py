"""Our batch normalisation against Keras's own layer."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.layers import BatchNormalization

SHAPE = (8, 5, 6, 7)  # (batch, height, width, channels)


def batch(shape=SHAPE, seed=0, dtype="float32"):
    """Activations whose channels differ in mean and spread."""
    rng = np.random.default_rng(seed)
    spread, mean = rng.uniform(0.2, 3, shape[-1]), rng.uniform(-3, 3, shape[-1])
    return ops.convert_to_tensor((rng.normal(size=shape) * spread + mean).astype("float32"), dtype)


def pair(shape=SHAPE, **options):
    """Our layer and Keras's with the same weights, other than those they start with."""
    layers = (BatchNormalization(**options), keras.layers.BatchNormalization(**options))
    rng = np.random.default_rng(1)
    for layer in layers:
        layer.build(shape)
    values = [rng.uniform(0.5, 2, weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(values)
    return layers


def assert_same_state(ours, keras_layer, atol=1e-5):
    assert [w.name for w in ours.weights] == [w.name for w in keras_layer.weights]
    for mine, theirs in zip(ours.weights, keras_layer.weights, strict=True):
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(
            ops.convert_to_numpy(ops.cast(mine, "float32")),
            ops.convert_to_numpy(ops.cast(theirs, "float32")),
            atol=atol,
            rtol=atol,
            err_msg=mine.name,
        )


def assert_same_outputs(ours, keras_layer, inputs, atol=1e-5, **call):
    """Calls both layers; they must also agree about their moving statistics afterwards."""
    mine, theirs = ours(inputs, **call), keras_layer(inputs, **call)
    assert mine.dtype == theirs.dtype
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(mine, "float32")),
        ops.convert_to_numpy(ops.cast(theirs, "float32")),
        atol=atol,
        rtol=atol,
    )
    assert_same_state(ours, keras_layer)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_training_and_inference_match(scale, center):
    ours, theirs = pair(scale=scale, center=center, momentum=0.9, epsilon=1e-5)
    before = ops.convert_to_numpy(ours.moving_mean)
    for step in range(5):
        assert_same_outputs(ours, theirs, batch(seed=step), training=True)
    assert np.abs(ops.convert_to_numpy(ours.moving_mean) - before).max() > 0.1
    assert_same_outputs(ours, theirs, batch(seed=9), training=False)
    assert_same_outputs(ours, theirs, batch(seed=9))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 4, 4, 3), {}),
        ((1, 1, 1, 3), {}),  # one value a channel: the variance is 0
        ((16, 3), {}),
        ((4, 6, 3), {}),
        ((2, 3, 4, 5, 6), {}),
        ((4, 3, 5, 5), {"axis": 1}),
        ((4, 5, 5, 3), {"axis": 3}),
        ((4, 5, 5, 3), {"renorm": True}),
    ],
    ids=str,
)
def test_shapes_and_options_match(shape, options):
    ours, theirs = pair(shape, **options)
    for step in range(2):
        assert_same_outputs(ours, theirs, batch(shape, seed=step), training=True)
    assert_same_outputs(ours, theirs, batch(shape, seed=9), training=False)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_large_mean_with_small_spread_loses_no_digits(jit_compile):
    """A variance computed as mean of squares less square of the mean gives NaN here."""
    inputs = batch((8, 16, 16, 3)) * 0.1 + 100.0
    layer = BatchNormalization(momentum=0.0, epsilon=1e-7)
    model = keras.Sequential([keras.Input(inputs.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
    model.train_on_batch(inputs, ops.zeros_like(inputs))
    exact = np.asarray(ops.convert_to_numpy(inputs), "float64").var((0, 1, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_variance), exact, rtol=2e-2)


def test_mask_is_respected():
    ours, theirs = pair()
    mask = np.random.default_rng(2).random(SHAPE[:-1]) < 0.5
    assert_same_outputs(ours, theirs, batch(), training=True, mask=mask)
    unmasked, _ = pair()
    unmasked(batch(), training=True)
    difference = ops.convert_to_numpy(ours.moving_mean - unmasked.moving_mean)
    assert np.abs(difference).max() > 1e-3


def test_frozen_layer_uses_and_keeps_its_moving_statistics():
    ours, theirs = pair()
    ours.trainable = theirs.trainable = False
    before = [ops.convert_to_numpy(weight) for weight in ours.weights]
    assert_same_outputs(ours, theirs, batch(), training=True)
    for weight, value in zip(ours.weights, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), value)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "mixed_float16"])
def test_other_types_match(dtype):
    """bfloat16 to one unit in its last place (2^-8); float16 is Keras's own code."""
    ours, theirs = pair(dtype=dtype)
    bfloat16 = "bfloat16" in dtype
    for training in (True, False):
        inputs = batch(dtype=ours.compute_dtype)
        mine, other = ours(inputs, training=training), theirs(inputs, training=training)
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(
            ops.convert_to_numpy(ops.cast(mine, "float32")),
            ops.convert_to_numpy(ops.cast(other, "float32")),
            rtol=2**-7 if bfloat16 else 0,
            atol=2**-7 if bfloat16 else 0,
        )
        assert_same_state(ours, theirs, atol=2**-8 if dtype == "bfloat16" else 1e-5)


def test_float32_input_is_not_rounded_before_the_statistics():
    """Under mixed precision Keras normalises a float32 input, where it gets one, in float32."""
    ours, theirs = pair(dtype="mixed_bfloat16", autocast=False)
    inputs = batch() * 0.01 + 100.0  # in bfloat16 all the same
    assert_same_outputs(ours, theirs, inputs, atol=2**-7, training=True)


def test_empty_batch_does_as_keras():
    ours, theirs = pair()
    empty = ops.zeros((0, *SHAPE[1:]))
    for training in (True, False):
        mine, other = ours(empty, training=training), theirs(empty, training=training)
        assert mine.shape == other.shape == (0, *SHAPE[1:])
        assert_same_state(ours, theirs)


def test_config_and_weights_are_those_of_keras():
    options = {"momentum": 0.8, "epsilon": 1e-4, "name": "bn", "gamma_initializer": "zeros"}
    ours, theirs = pair(**options)
    assert ours.get_config() == theirs.get_config()
    again = BatchNormalization.from_config(ours.get_config())
    assert again.get_config() == ours.get_config()
    assert_same_state(ours, theirs)
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]


def small_model(layer):
    """A convolution, a batch normalisation and a head."""
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs)
    x = layer(momentum=0.9, name="bn")(x)
    x = keras.layers.Flatten()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_takes_the_same_steps(jit_compile):
    """Several steps of `fit`, through the gradients, end with the same weights."""
    rng = np.random.default_rng(3)
    images = rng.normal(size=(20, 6, 6, 3)).astype("float32")
    labels = rng.integers(0, 3, 20)
    models = []
    for layer in (BatchNormalization, keras.layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        model = small_model(layer)
        model.compile(
            keras.optimizers.SGD(0.05),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )
        start = model.get_weights()
        model.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
        models.append(model)
    ours, theirs = models
    assert_same_state(ours, theirs, atol=2e-5)
    moved = [np.abs(a - b).max() for a, b in zip(start, ours.get_weights(), strict=True)]
    assert min(moved) > 1e-4
    np.testing.assert_allclose(
        ours.predict(images, verbose=0), theirs.predict(images, verbose=0), atol=1e-4
    )


LOAD_WITHOUT_VISLEARN = """
import sys
sys.modules["vislearn"] = None  # importing it fails
import keras, numpy as np
folder = sys.argv[1]
model = keras.saving.load_model(
    f"{folder}/model.keras",
    custom_objects={"vislearn>BatchNormalization": keras.layers.BatchNormalization},
)
assert type(model.get_layer("bn")) is keras.layers.BatchNormalization
outputs = model.predict(np.load(f"{folder}/images.npy"), verbose=0)
np.save(f"{folder}/outputs.npy", outputs)
"""


def test_saved_model_loads_with_ours_and_with_stock_keras(tmp_path):
    model = small_model(BatchNormalization)
    images = np.random.default_rng(4).normal(size=(5, 6, 6, 3)).astype("float32")
    model(images, training=True)  # so that the moving statistics are not the initial ones
    expected = model.predict(images, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)

    again = keras.saving.load_model(path)
    assert type(again.get_layer("bn")) is BatchNormalization
    np.testing.assert_allclose(again.predict(images, verbose=0), expected, atol=1e-6)

    np.save(tmp_path / "images.npy", images)
    subprocess.run([sys.executable, "-c", LOAD_WITHOUT_VISLEARN, str(tmp_path)], check=True)
    stock = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(stock, expected, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [SHAPE, (1, 4, 4, 3), (16, 3)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_match(shape, training):
    import tensorflow as tf

    found = []
    weights = np.random.default_rng(5).normal(size=shape).astype("float32")
    for layer in pair(shape):
        inputs = tf.Variable(batch(shape))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weights * layer(inputs, training=training) ** 2)
        sources = [inputs, layer.gamma.value, layer.beta.value]
        found.append([gradient.numpy() for gradient in tape.gradient(loss, sources)])
    for name, mine, theirs in zip(("input", "gamma", "beta"), *found, strict=True):
        assert np.abs(theirs).max() > 0.1
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(mine / scale, theirs / scale, atol=1e-5, err_msg=name)


@pytest.mark.tensorflow
def test_second_derivatives_match():
    """What a gradient penalty needs."""
    import tensorflow as tf

    found = []
    for layer in pair():
        inputs = tf.Variable(batch())
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_sum(tf.sin(layer(inputs, training=True)))
            penalty = tf.reduce_sum(inner.gradient(loss, inputs) ** 2)
        found.append(outer.gradient(penalty, inputs).numpy())
    assert np.abs(found[1]).max() > 1e-2
    np.testing.assert_allclose(*found, atol=1e-4 * np.abs(found[1]).max())


def operations(layer, inputs, **call) -> set[str]:
    """Types of the operations of the graph that a call traces."""
    import tensorflow as tf

    function = tf.function(lambda x: layer(x, **call)).get_concrete_function(inputs)
    return {operation.type for operation in function.graph.get_operations()}


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_fused_kernel_is_used_in_training_and_only_there(dtype):
    ours, theirs = pair(dtype=dtype)
    inputs = batch(dtype=ours.compute_dtype)
    assert "FusedBatchNormV3" in operations(ours, inputs, training=True)
    assert "FusedBatchNormV3" not in operations(theirs, inputs, training=True)
    assert "FusedBatchNormV3" not in operations(ours, inputs, training=False)
    assert "FusedBatchNormV3" not in operations(ours, inputs)
    ours.trainable = False
    assert "FusedBatchNormV3" not in operations(ours, inputs, training=True)


@pytest.mark.tensorflow
def test_the_fused_kernel_is_not_used_under_xla():
    import tensorflow as tf

    ours, _ = pair()
    traced = []

    @tf.function(jit_compile=True)
    def outer(x):
        traced.append(operations(ours, x, training=True))
        y = ours(x, training=True)
        traced.append({operation.type for operation in y.graph.get_operations()})
        return y

    outer(batch())
    assert len(traced) == 2
    assert all("FusedBatchNormV3" not in types for types in traced)


@pytest.mark.tensorflow
def test_the_kernel_gives_biased_variance():
    """TensorFlow returns n / (n - 1) times the variance that Keras averages."""
    import tensorflow as tf

    inputs = batch()
    ones, zeros = tf.ones(SHAPE[-1]), tf.zeros(SHAPE[-1])
    _, mean, variance = backend.fused_batch_norm(inputs, ones, zeros, 1e-3)
    np.testing.assert_allclose(mean, np.mean(inputs, (0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(variance, np.var(inputs, (0, 1, 2)), rtol=1e-5)
