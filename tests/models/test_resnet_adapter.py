"""Residual adapters: one body for several domains, and how little a domain adds."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.models.classification.resnet_adapter import body_layers, on_body_of

NAME = "residual_adapter_resnet26"
TINY = {"input_shape": (16, 16, 3), "num_classes": 3, "repeats": (1, 1), "width": 4}


def create(**options) -> keras.Model:
    return vislearn.create_model(NAME, **{**TINY, **options})


def shapes_only() -> keras.Model:
    with keras.StatelessScope(initialize_variables=False):
        model = vislearn.create_model(NAME)
    keras.utils.clear_session(free_memory=False)
    return model


def test_a_domain_adds_a_tenth():
    """Section 3.1: ten domains take about twice the weights of one."""
    model = shapes_only()
    own = sum(x.count_params() for x in model.layers if "_adapter" in x.name)
    assert 0.08 < own / model.count_params() < 0.12
    ten = model.count_params() + 9 * own
    assert ten < 2.1 * model.count_params()


def test_26_layers_with_weights():
    model = shapes_only()
    kernels = [x for x in model.layers if isinstance(x, keras.layers.Conv2D | keras.layers.Dense)]
    assert len([x for x in kernels if "_adapter" not in x.name]) == 26


def test_endpoints():
    model = create(repeats=(1, 1, 1))
    assert [model.get_layer(f"C{n}").output.shape[1] for n in (1, 2, 3)] == [8, 4, 2]


def test_a_new_adapter_is_the_identity():
    model = create()
    kernels = [x.kernel for x in model.layers if x.name.endswith(("adapter_conv", "adapter1_conv"))]
    assert kernels
    assert all(float(keras.ops.max(keras.ops.abs(kernel))) == 0 for kernel in kernels)


def test_names_tell_body_from_domain():
    first, second = create(domain="digits"), create(domain="flowers")
    names = [{x.name for x in m.layers if x.weights} for m in (first, second)]
    assert names[0] & names[1] == {*body_layers(first), "head"}
    assert all("_digits_" in name for name in names[0] - names[1])
    assert body_layers(first) == body_layers(second) == body_layers(create())


def test_two_domains_on_one_body(tmp_path):
    first = create(domain="digits")
    second = on_body_of(first, create(domain="flowers", num_classes=4))
    assert second.output_shape == (None, 4)
    for name in body_layers(first):
        assert second.get_layer(name) is first.get_layer(name)
        first.get_layer(name).trainable = False

    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (8, 16, 16, 3)).astype("float32")
    before = first.predict_on_batch(pixels)
    body = [first.get_layer(name).get_weights() for name in body_layers(first)]
    untrained = second.predict_on_batch(pixels)
    second.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    second.train_on_batch(pixels, rng.integers(0, 4, 8))
    assert np.abs(second.predict_on_batch(pixels) - untrained).max() > 0
    np.testing.assert_array_equal(first.predict_on_batch(pixels), before)
    for name, weights in zip(body_layers(first), body, strict=True):
        np.testing.assert_array_equal(first.get_layer(name).get_weights(), weights)

    second.save(tmp_path / "flowers.keras")
    loaded = keras.saving.load_model(tmp_path / "flowers.keras")
    np.testing.assert_allclose(
        loaded.predict_on_batch(pixels), second.predict_on_batch(pixels), rtol=1e-5, atol=1e-6
    )


def test_other_body():
    with pytest.raises(ValueError, match=r"differ in \['stage1_block1_conv1'"):
        on_body_of(create(), create(width=8))


@pytest.mark.parametrize("domain", ["Flowers", "two words", "", 3.5])
def test_errors(domain):
    with pytest.raises(ValueError, match="domain="):
        create(domain=domain)
