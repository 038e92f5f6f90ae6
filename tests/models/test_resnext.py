"""ResNeXt: the options, and that its groups are groups."""

import keras
import pytest
from keras import ops

import vislearn
from vislearn.layers import GroupedConv2D

TINY = vislearn.model_info("resnext50_32x4d").tiny


def test_every_bottleneck_convolves_in_groups():
    model = vislearn.create_model("resnext50_32x4d", **TINY)
    grouped = [layer for layer in model.layers if isinstance(layer, GroupedConv2D)]
    assert [layer.name for layer in grouped] == [
        f"{block}_conv2" for block in ("stage1_block1", "stage2_block1", "stage2_block2")
    ]
    assert {layer.groups for layer in grouped} == {4}
    assert [layer.filters for layer in grouped] == [32, 64, 64]


def test_bottleneck_width_is_that_of_the_first_stage():
    """32 groups of 4 channels at a width of 64, of 8 in the second stage (Table 1)."""
    model = vislearn.create_model("resnext50_32x4d", input_shape=(32, 32, 3), repeats=(1, 1))
    kernels = [model.get_layer(f"stage{s}_block1_conv2").kernel.shape for s in (1, 2)]
    assert kernels == [(3, 3, 4, 128), (3, 3, 8, 256)]


def test_endpoints_and_epsilon():
    model = vislearn.create_backbone(
        "resnext50_32x4d",
        levels=("C2", "C3", "C4", "C5"),
        input_shape=(32, 32, 3),
        width=16,
        cardinality=4,
        bottleneck_width=32,
        repeats=(1, 1, 1, 1),
    )
    sides = {level: output.shape[1] for level, output in model.output.items()}
    assert sides == {"C2": 8, "C3": 4, "C4": 2, "C5": 1}
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1e-5, 0.9)}


def test_equals_paths_that_are_summed():
    """Figure 3(a) equals 3(c): the last 1x1 convolution sums over the paths."""
    model = vislearn.create_model("resnext50_32x4d", **TINY)
    block = "stage1_block1"
    middle, last = model.get_layer(f"{block}_conv2"), model.get_layer(f"{block}_conv3")
    x = keras.random.normal((1, 4, 4, middle.input.shape[-1]), seed=0)
    whole = last(middle(x))
    size = middle.filters // middle.groups
    total = 0
    for path in range(middle.groups):
        part = slice(path * size, (path + 1) * size)
        y = ops.conv(x[..., part], middle.kernel[..., part], padding="same")
        total = total + ops.conv(y, last.kernel[:, :, part], padding="same")
    assert float(ops.max(ops.abs(total - whole))) < 1e-5 * float(ops.max(ops.abs(whole)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cardinality": 0}, "cardinality=0"),
        (
            {"cardinality": 30},
            "cardinality=30 times bottleneck_width=4 must be",
        ),
        ({"width": 3}, "cardinality=32 must divide the 6 channels"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        vislearn.create_model("resnext50_32x4d", input_shape=(32, 32, 3), **options)
