"""Rung: builds at its published and its tiny configuration, and refuses wrong arguments."""

import re

import keras
import numpy as np
import pytest
from rungs import (
    MODELS,
    assert_same,
    every_classifier,
    every_network,
    every_published,
    inputs,
    outputs,
    published,
    random_tiny,
    takes_pixels,
    tiny,
)

import vislearn

every_pixel_model = pytest.mark.parametrize("name", [n for n in MODELS if takes_pixels(n)])

# Beyond the common ones, so that no family takes it.
UNKNOWN = {"no_such_option": 1}


@every_published
def test_published(name):
    info = vislearn.model_info(name)
    model = published(name)
    assert model.name == name
    shapes = {tensor.name: tensor.shape[1:] for tensor in model.inputs}
    if takes_pixels(name):
        assert shapes == {"image": info.input_shape}
    if info.task == "classification":
        # Without classes it is features that are published.
        assert model.output_shape == (None, info.num_classes or model.output_shape[-1])
    elif info.task == "semantic_segmentation":
        assert len(model.output_shape) == 4
        assert model.output_shape[-1] == info.num_classes
    elif info.task == "regression":
        assert model.output_shape == (None, info.num_classes)
    elif info.task == "detection":
        assert model.output["logits"].shape[-1] == info.num_classes
    else:
        (picture,) = [o.shape[1:] for o in model.outputs if len(o.shape) == 4]
        assert picture == info.input_shape


@every_published
def test_flat_and_named_by_path(name):
    model = published(name)
    assert isinstance(model, keras.Model)
    for layer in model.layers:
        assert not isinstance(layer, keras.Model), f"{layer.name} is a model in the model"
        # `conv`, `stage1_block2_conv1`; levels such as C5 and P3 are the exception.
        assert re.fullmatch(r"([a-z]+[0-9]*|[CP]\d)(_[a-z0-9]+|_P\d)*", layer.name)


@every_network
def test_layers_are_named_alike_each_time(name):
    """A layer that nobody named would get a number that goes up from model to model."""
    assert [layer.name for layer in tiny(name).layers] == [
        layer.name for layer in tiny(name).layers
    ]


@every_network
def test_no_two_kernels_start_alike(name):
    """As those would that share an initializer: it draws the same values, if scaled, each time."""
    drawn = {}
    for weight in tiny(name).trainable_weights:
        start = keras.ops.convert_to_numpy(weight).ravel()[:8]
        if len(start) == 8 and start.std() > 0:
            signs_and_sizes = tuple(np.round(start / np.abs(start).max(), 4))
            drawn.setdefault(signs_and_sizes, []).append(weight.path)
    assert [paths for paths in drawn.values() if len(paths) > 1] == []


@every_network
def test_tiny(name):
    model = random_tiny(name)
    assert model.count_params() < 400_000
    answers = outputs(model, inputs(model))
    for answer in keras.tree.flatten(answers):
        assert len(answer) == 4
        assert np.all(np.isfinite(answer))
    # Not each output by itself: anchors are the same for all images.
    same = [np.allclose(answer[0], answer[1]) for answer in keras.tree.flatten(answers)]
    assert not all(same), "two inputs get one answer"
    if vislearn.model_info(name).task == "classification":
        assert answers.shape == (4, vislearn.model_info(name).tiny["num_classes"])


@every_classifier
def test_without_head(name):
    model = tiny(name, num_classes=0)
    assert len(model.output_shape) == 2
    assert "head" not in [layer.name for layer in model.layers]
    assert model.count_params() < random_tiny(name).count_params()


@every_classifier
def test_activation_of_the_answer(name):
    model = tiny(name, classifier_activation="softmax")
    np.testing.assert_allclose(outputs(model, inputs(model)).sum(axis=-1), 1, atol=1e-5)


@every_pixel_model
def test_preprocessing_is_in_the_model(name):
    """Scaled by hand, with `preprocessing=None`, the pixels give the same answer."""
    model = random_tiny(name)
    raw = tiny(name, preprocessing=None)
    assert [layer for layer in raw.layers if layer.name == "preprocess"] == []
    raw.set_weights(model.get_weights())
    pixels = inputs(model)
    scaled = keras.ops.convert_to_numpy(model.get_layer("preprocess")(pixels))
    assert_same(outputs(raw, scaled), outputs(model, pixels))


@every_network
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (UNKNOWN, "no_such_option=1"),
        ({"num_classes": -1}, "num_classes=-1"),
        ({"num_classes": 2.0}, r"num_classes=2\.0"),
        ({"num_classes": 0, "classifier_activation": "softmax"}, "classifier_activation='softmax'"),
        ({"classifier_activation": "sofmax"}, "sofmax"),
        ({"preprocessing": "imagenett"}, "preprocessing='imagenett'"),
        ({"input_shape": (0, 8, 3)}, r"input_shape=\(0, 8, 3\)"),
        ({"input_shape": 32}, "input_shape=32"),
        ({"weights": "imagenett"}, "weights='imagenett'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_arguments(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        tiny(name, **wrong)


@every_network
def test_smallest_image(name):
    """One pixel: either too small, in words, or an answer."""
    channels = vislearn.model_info(name).tiny["input_shape"][-1]
    shape = (1, 1, channels)
    try:
        model = tiny(name, input_shape=shape)
    except ValueError as error:
        refusal = str(error)
    else:
        answers = keras.tree.flatten(outputs(model, inputs(model)))
        assert all(np.all(np.isfinite(answer)) for answer in answers)
        return
    assert f"input_shape={shape}" in refusal
