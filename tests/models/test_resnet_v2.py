"""Residual networks with pre-activation: what the paper and keras.applications say of them."""

import keras
import numpy as np
import pytest

import vislearn

SMALL = {"input_shape": (64, 64, 3), "width": 4, "repeats": (2, 2, 2, 2)}


def test_endpoints_and_strides():
    """A stage strides in its last block, whose input is the endpoint, normalised."""
    model = vislearn.create_backbone("resnet50_v2", levels=("C2", "C3", "C4", "C5"), **SMALL)
    sides = {level: output.shape[1] for level, output in model.output.items()}
    assert sides == {"C2": 16, "C3": 8, "C4": 4, "C5": 2}
    assert model.get_layer("C2").input is model.get_layer("stage1_block2_preact_relu").output
    assert model.get_layer("C5").input is model.get_layer("post_relu").output
    assert model.get_layer("stage1_block2_conv2").strides == (2, 2)
    assert model.get_layer("stage4_block2_conv2").strides == (1, 1)


def test_nothing_lies_between_two_additions():
    """Figure 4(e): the shortcut of all blocks but the first of a stage is the sum before."""
    model = vislearn.create_model("resnet50_v2", **{**SMALL, "repeats": (3, 2)})
    first, second = (model.get_layer(f"stage1_block{n}_out") for n in (1, 2))
    assert second.input[0] is first.output


def test_epsilon_is_that_of_keras_applications():
    model = vislearn.create_model("resnet50_v2", **SMALL)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1.001e-5, 0.9)}


def test_stochastic_depth_rates_rise():
    model = vislearn.create_model("resnet50_v2", drop_path_rate=0.4, **{**SMALL, "repeats": (2, 2)})
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_the_first_pooling_sees_zeros_at_the_border():
    model = vislearn.create_model("resnet50_v2", **SMALL)
    part = keras.Model(model.get_layer("stem_conv").output, model.get_layer("stem_pool").output)
    found = keras.ops.convert_to_numpy(part(-np.ones((1, 32, 32, 4), "float32")))
    assert np.all(found[:, 0] == 0) and np.all(found[:, :, 0] == 0)
    assert np.all(found[:, 1:, 1:] == -1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": (2, 1)}, r"repeats=\(2, 1\) must be at least 2"),
        ({"repeats": ()}, r"repeats=\(\)"),
        ({"drop_path_rate": -0.1}, r"drop_path_rate=-0\.1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        vislearn.create_model("resnet50_v2", **{**SMALL, **options})
