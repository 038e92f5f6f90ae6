"""Transfer learning: what is held fast stays, what is below learns more slowly."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.training.checkpoint import load_state, save_state
from vislearn.training.recipes import Recipe, build_optimizer
from vislearn.training.transfer import (
    Scaling,
    endpoints,
    features,
    freeze,
    layer_rates,
    thaw,
    upstream,
    with_layer_rates,
)

OPTIMIZERS = ("sgd", "adam", "adamw")
ENDPOINTS = {
    "resnet18": ["C2", "C3"],
    "resnet50_v2": ["C2", "C3"],
    "vit_small_patch16": ["block1_out", "block2_out"],
    "residual_adapter_resnet26": ["C1", "C2"],
    "cifar_cnn": ["C0", "C1"],
    "lenet5": ["C0", "C1"],
    "locally_connected_net": ["C0", "C1", "C2"],
    "rvss_convnet": ["C1", "C2"],
}
SIZES = {
    "resnet18": {"width": 4, "repeats": (1, 1)},
    "resnet50_v2": {"width": 4},
    "residual_adapter_resnet26": {"width": 4, "repeats": (1, 1)},
}


def create(name: str = "resnet18", **options) -> keras.Model:
    tiny = {**vislearn.model_info(name).tiny, **SIZES.get(name, {})}
    keras.utils.set_random_seed(0)
    return vislearn.create_model(name, **{**tiny, **options})


def batch(model: keras.Model, count: int = 8):
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (count, *model.input_shape[1:])).astype("float32")
    return pixels, rng.integers(0, 5, count)


def train(model: keras.Model, optimizer="sgd", steps: int = 1) -> None:
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for _ in range(steps):
        model.train_on_batch(*batch(model))


def values(model: keras.Model) -> dict[str, np.ndarray]:
    return {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.weights}


def changed(before: dict, after: dict) -> set[str]:
    """The layers of which a weight or a statistic is another one."""
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


# Parts of a network -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoints_of_every_kind_of_network(name):
    model = create(name)
    ends = endpoints(model)
    assert ends == ENDPOINTS[name]
    parts = [upstream(model, end) for end in ends]
    assert parts[0] < parts[1]
    assert "head" not in parts[1]
    first = next(layer.name for layer in model.layers if layer.weights)
    assert {"image", first} <= parts[0]


def test_upstream_follows_the_graph():
    """The shortcut of the block that follows is no part, though it stands beside."""
    part = upstream(create(), "C2")
    assert {"stage1_block1_conv2", "stem_pool", "preprocess"} <= part
    assert not any(name.startswith(("stage2", "pool", "head")) for name in part)


def test_the_position_in_a_network_that_shares_layers():
    """A layer that two networks call has a place in the graph of each."""
    from vislearn.models.classification.resnet_adapter import on_body_of

    name = "residual_adapter_resnet26"
    one = create(name, domain="one")
    two = on_body_of(one, create(name, domain="two"))
    assert "stem_adapter_two_conv" in upstream(two, "stage1_block1_conv1")
    assert not any("_one_" in layer for layer in upstream(two, "C2"))


def test_frozen_weights_and_statistics_stay():
    model = create()
    frozen = freeze(model, "C2")
    assert {"stem_conv", "stem_bn", "stage1_block1_bn2"} <= set(frozen)
    before = values(model)
    train(model)
    with_weights = {layer.name for layer in model.layers if layer.weights}
    assert changed(before, values(model)) == with_weights - set(frozen)


def test_a_frozen_batch_norm_is_in_inference_while_training():
    model = create()
    layer = model.get_layer("stem_bn")
    x = keras.random.normal((4, 8, 8, layer.gamma.shape[0]), mean=3, seed=0)
    inference = keras.ops.convert_to_numpy(layer(x, training=False))
    assert np.abs(keras.ops.convert_to_numpy(layer(x, training=True)) - inference).max() > 1
    inference = keras.ops.convert_to_numpy(layer(x, training=False))  # The averages have moved.
    freeze(model, "C2")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(x, training=True)), inference)


def test_all_but_the_head_is_frozen_by_default():
    model = create()
    freeze(model)
    assert {v.path for v in model.trainable_variables} == {"head/kernel", "head/bias"}


@pytest.mark.parametrize(("stages", "part"), [(0, "C3"), (1, "C2"), (2, None)])
def test_thaw_from_the_top(stages, part):
    model = create()
    freeze(model)
    thawed = thaw(model, stages)
    frozen = upstream(model, part) if part else set()
    with_weights = {layer.name for layer in model.layers if layer.weights}
    assert set(thawed) == with_weights - frozen
    assert {layer.name for layer in model.layers if layer.trainable_variables} == set(thawed)


def test_thaw_blocks_of_a_transformer():
    model = create("vit_small_patch16")
    thawed = thaw(model, 1)
    assert any(name.startswith("block2_") for name in thawed)
    assert not any(name.startswith(("block1_", "patch")) for name in thawed)


# Learning rates -----------------------------------------------------------------------------------


def test_rates_fall_towards_the_input():
    rates = layer_rates(create(), 0.5)
    assert rates["head/kernel"] == 1
    assert rates["stage2_block1_conv1/kernel"] == 0.5
    assert rates["stage1_block1_conv1/kernel"] == rates["stem_conv/kernel"] == 0.25


def steps_of(optimizer, count: int) -> np.ndarray:
    """How far two variables of the same value go by the same gradients."""
    variables = [keras.Variable(np.full(3, 2.0, "float32"), name=name) for name in "ab"]
    start = keras.ops.convert_to_numpy(variables[0])
    gradients = np.random.default_rng(0).normal(size=(count, 3)).astype("float32")
    optimizer.build(variables)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)] * 2, variables)
    return np.stack([keras.ops.convert_to_numpy(variable) - start for variable in variables])


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(("decay", "steps"), [(0.0, 3), (0.1, 1)])
def test_the_step_is_scaled(kind, decay, steps):
    """Several steps, and decoupled decay, of which only the first step is linear in the rate."""
    recipe = Recipe(optimizer=kind, learning_rate=0.1, weight_decay=decay, schedule="constant")
    plain = steps_of(build_optimizer(recipe, 10), steps)
    np.testing.assert_array_equal(plain[0], plain[1])
    scaled = steps_of(with_layer_rates(build_optimizer(recipe, 10), {"a": 0.25}), steps)
    np.testing.assert_allclose(scaled[0], 0.25 * plain[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scaled[1], plain[1], rtol=1e-6)


def test_what_is_not_decayed_stays_so():
    recipe = Recipe(optimizer="adamw", weight_decay=0.5, learning_rate=0.1, schedule="constant")
    plain = build_optimizer(recipe, 10)
    optimizer = with_layer_rates(plain, {})
    found = [keras.Variable(np.ones(1, "float32"), name=name) for name in ("kernel", "gamma")]
    optimizer.build(found)
    optimizer.apply([keras.ops.zeros(1)] * 2, found)
    assert [float(np.asarray(v)[0]) for v in found] == pytest.approx([0.95, 1.0])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_trains_and_resumes_exactly(kind, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")

    def start():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        outputs = keras.layers.Dense(3, name="one")(inputs)
        model = keras.Model(inputs, keras.layers.Dense(2, name="two")(outputs))
        recipe = Recipe(optimizer=kind, learning_rate=0.01, schedule="cosine", ema=0.5)
        rates = {"one/kernel": 0.25, "one/bias": 0.25}
        model.compile(with_layer_rates(build_optimizer(recipe, 4), rates), "mse")
        return model

    def go(model, steps):
        for _ in range(steps):
            model.train_on_batch(x, y)

    whole, broken, resumed = start(), start(), start()
    go(whole, 2)
    go(broken, 1)
    save_state(tmp_path / "last.npz", broken, {"epoch": 1})
    assert load_state(tmp_path / "last.npz", resumed) == {"epoch": 1}
    go(resumed, 1)
    before, after = values(whole), values(resumed)
    for path, value in before.items():
        np.testing.assert_array_equal(value, after[path])


def test_a_saved_optimiser_keeps_its_rates():
    optimizer = with_layer_rates(
        build_optimizer(Recipe(schedule="one_cycle"), 10), {"head/kernel": 0.5}
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["rates"] == {"head/kernel": 0.5}


# Features -----------------------------------------------------------------------------------------


def test_features_are_those_of_the_network_batch_by_batch():
    body = create(num_classes=0)
    images = np.random.default_rng(0).integers(0, 256, (5, *body.input_shape[1:]), dtype=np.uint8)
    found = features(body, [images[:3], images[3:]])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, body.predict(images.astype("float32"), verbose=0), rtol=1e-5)


def test_a_head_on_scaled_features_is_one_on_features():
    """A feature that never changes says nothing, and stays 0."""
    x = np.random.default_rng(0).normal(3, 5, size=(40, 4)).astype("float32")
    x[:, 0] = 7.0
    scaling = Scaling.of(x)
    scaled = scaling.apply(x)
    np.testing.assert_array_equal(scaled[:, 0], 0)
    np.testing.assert_allclose(scaled[:, 1:].std(axis=0), 1, rtol=1e-5)
    kernel, bias = np.arange(8.0).reshape(4, 2), np.array([1.0, -2.0])
    whole, shift = scaling.undone(kernel, bias)
    np.testing.assert_allclose(x @ whole + shift, scaled @ kernel + bias, rtol=1e-4, atol=1e-4)


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: freeze(m, "C7"), r"no layer 'C7'; its endpoints are \['C2', 'C3'\]"),
        (lambda m: thaw(m, 3), r"stages=3 must be 0 to 2"),
        (lambda m: thaw(m, -1), r"stages=-1"),
        (lambda m: layer_rates(m, 0.0), r"decay=0\.0"),
        (lambda m: layer_rates(m, 1.5), r"decay=1\.5"),
        (lambda m: endpoints(keras.Sequential([keras.Input((2,))])), "has no endpoints"),
        (lambda m: with_layer_rates(keras.optimizers.Lion(), {}), "optimizer=Lion must be one of"),
        (lambda m: with_layer_rates(built(m), {}), "has been used already"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(create())


def built(model):
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    return optimizer
