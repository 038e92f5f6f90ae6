"""Options of densely connected networks."""

import numpy as np
import pytest

import vislearn
from vislearn.catalogue import build_shapes

SMALL = {"input_shape": (64, 64, 3), "num_classes": 5, "repeats": (1, 1, 2, 1), "growth_rate": 4}


def create(**options):
    return vislearn.create_model("densenet121", **{**SMALL, **options})


def test_endpoints_hold_all_maps_of_a_block():
    """A stem of 2k, k more each layer, and half of them through each transition."""
    backbone = vislearn.create_backbone(
        "densenet121",
        levels=("C2", "C3", "C4", "C5"),
        input_shape=(64, 96, 3),
        repeats=(1, 1, 2, 1),
        growth_rate=4,
    )
    shapes = {level: tensor.shape[1:] for level, tensor in backbone.output.items()}
    assert shapes == {
        "C2": (16, 24, 8 + 4),
        "C3": (8, 12, 6 + 4),
        "C4": (4, 6, 5 + 8),
        "C5": (2, 3, 6 + 4),
    }


def test_a_layer_leaves_the_maps_before_it_as_they_were():
    model = create()
    old, new = model.get_layer("stage3_layer2_concat").input
    assert old is model.get_layer("stage3_layer1_concat").output
    assert new is model.get_layer("stage3_layer2_conv2").output


def test_compression_of_one_keeps_every_map():
    model = create(compression=1)
    assert model.get_layer("stage2_transition_conv").filters == 12
    assert model.get_layer("stage3_transition_conv").filters == 16


def test_without_bottleneck():
    """Figure 2: one 3x3 convolution a layer, which reads all maps."""
    names = [layer.name for layer in create(bottleneck=False).layers]
    assert not [name for name in names if name.endswith("conv1")]
    kernel = create(bottleneck=False).get_layer("stage3_layer2_conv2").kernel
    assert kernel.shape == (3, 3, 5 + 4, 4)


def test_bottleneck_is_four_times_the_growth_rate():
    assert create().get_layer("stage4_layer1_conv1").filters == 16


def test_dropout_after_each_layer():
    found = {layer.name: layer.rate for layer in create(dropout=0.2).layers if "drop" in layer.name}
    assert found == {
        f"stage{stage}_layer{index}_dropout": 0.2
        for stage, count in enumerate(SMALL["repeats"], start=1)
        for index in range(1, count + 1)
    }


def test_depth_is_in_the_name():
    """Two convolutions a layer, one a transition, the stem and the head."""
    for name in ("densenet121", "densenet161", "densenet169", "densenet201"):
        repeats = vislearn.model_info(name).variant["repeats"]
        assert 2 * sum(repeats) + 3 + 2 == int(name.removeprefix("densenet"))


def test_stem_of_densenet161():
    assert build_shapes("densenet161", repeats=(1,)).get_layer("stem_conv").filters == 96


def test_batch_norm_of_the_published_weights():
    norms = [layer for layer in create().layers if layer.name.rpartition("_")[2].startswith("bn")]
    assert len(norms) == 1 + 2 * 5 + 4
    np.testing.assert_allclose([layer.epsilon for layer in norms], 1e-5)
    np.testing.assert_allclose([layer.momentum for layer in norms], 0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": ()}, r"repeats=\(\) must be positive integers"),
        ({"repeats": (1, 0)}, r"repeats=\(1, 0\)"),
        ({"growth_rate": 0}, "growth_rate=0 must be a positive integer"),
        ({"growth_rate": 1.5}, r"growth_rate=1\.5"),
        ({"compression": 0}, "compression=0 must be above 0 and at most 1"),
        ({"compression": 1.5}, r"compression=1\.5"),
        ({"dropout": 1.0}, r"dropout=1\.0 must be at least 0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
