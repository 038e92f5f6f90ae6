"""Options of MobileNets."""

import keras
import numpy as np
import pytest

import vislearn

NAMES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small")


def create(name, **options):
    tiny = vislearn.model_info(name).tiny
    return vislearn.create_model(name, **{**tiny, **options})


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("mobilenet_v1", (64, 128, 256, 512, 1024)),
        ("mobilenet_v2", (16, 24, 32, 96, 1280)),
        ("mobilenet_v3_small", (16, 16, 24, 48, 576)),
        ("mobilenet_v3_large", (16, 24, 40, 112, 960)),
    ],
)
def test_endpoints(name, channels):
    levels = ("C1", "C2", "C3", "C4", "C5")
    with keras.StatelessScope(initialize_variables=False):
        model = vislearn.create_backbone(name, input_shape=(96, 64, 3), levels=levels)
    keras.utils.clear_session(free_memory=False)
    for number, (level, count) in enumerate(zip(levels, channels, strict=True), start=1):
        assert model.output[level].shape == (None, 96 // 2**number, 64 // 2**number, count)


@pytest.mark.parametrize("name", NAMES)
def test_both_paddings_have_the_same_shapes_and_weights_but_another_answer(name):
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    symmetric, tensorflow = (create(name, padding=p) for p in ("symmetric", "tensorflow"))
    tensorflow.set_weights(symmetric.get_weights())
    assert [layer for layer in symmetric.layers if layer.name.endswith("_pad")]
    assert not [layer for layer in tensorflow.layers if layer.name.endswith("_pad")]
    answers = [keras.ops.convert_to_numpy(m(pixels)) for m in (symmetric, tensorflow)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def test_v2_keeps_its_narrow_ends_linear():
    """Section 3.2 of the second paper: an activation there destroys information."""
    ends = {"block1_project_bn", "block2_project_bn", "block3_project_bn"}
    activated = {
        layer.input._keras_history.operation.name
        for layer in create("mobilenet_v2").layers
        if isinstance(layer, keras.layers.Activation)
    }
    assert len(activated) == 7
    assert not ends & activated


@pytest.mark.parametrize("name", NAMES)
def test_alpha(name):
    narrow, wide = (create(name, alpha=alpha).count_params() for alpha in (0.5, 1.0))
    assert narrow < wide


def test_features_of_v3_are_those_before_the_classifier():
    assert create("mobilenet_v3_small", num_classes=0).output_shape == (None, 64)
    assert create("mobilenet_v2", num_classes=0).output_shape == (None, 1280)


@pytest.mark.parametrize("name", NAMES)
def test_batch_norm_of_the_published_weights(name):
    def found(**options):
        model = create(name, momentum=0.99, **options)
        norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
        return {(norm.epsilon, norm.momentum) for norm in norms}

    assert found() == {(1e-3, 0.99)}
    assert found(epsilon=1e-5) == {(1e-5, 0.99)}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *((name, {"alpha": 0}, "alpha=0 must be positive") for name in NAMES),
        *((name, {"padding": "same"}, "padding='same' must be one of") for name in NAMES),
        ("mobilenet_v1", {"blocks": ((8, 3),)}, "stride=3 of a block must be 1 or 2"),
    ],
)
def test_errors(name, options, message):
    with pytest.raises(ValueError, match=message):
        create(name, **options)
