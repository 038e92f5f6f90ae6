"""RetinaNet: its outputs, options, start and errors."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.ops.anchors import pyramid_anchors

TINY = {
    "input_shape": (64, 96, 3),
    "num_classes": 3,
    "backbone_options": {"width": 4, "repeats": (1, 1, 1, 1)},
    "fpn_channels": 8,
    "head_depth": 1,
}


def build(**options):
    return vislearn.create_model("retinanet", **{**TINY, **options})


def test_outputs():
    """Levels of 8x12, 4x6, 2x3, 1x2 and 1x1 cells, nine anchors each."""
    model = build()
    count = 9 * (96 + 24 + 6 + 2 + 1)
    assert {name: tensor.shape[1:] for name, tensor in model.output.items()} == {
        "logits": (count, 3),
        "deltas": (count, 4),
        "anchors": (count, 4),
        "image_size": (2,),
    }
    found = model(np.zeros((2, 64, 96, 3)), training=False)
    found = {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}
    np.testing.assert_array_equal(found["image_size"], [[64, 96]] * 2)
    expected = pyramid_anchors(
        (64, 96),
        [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)],
        (32, 64, 128, 256, 512),
        (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
        (0.5, 1.0, 2.0),
    )
    np.testing.assert_array_equal(found["anchors"][1], expected)


@pytest.mark.parametrize("norm", [None, "batch", "group"])
def test_starts_at_the_prior(norm):
    """Before training every anchor is background with a probability of about 99%."""
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3))
    found = build(norm=norm)(pixels, training=False)
    scores = keras.ops.convert_to_numpy(keras.ops.sigmoid(found["logits"]))
    assert 0.003 < scores.min() < scores.max() < 0.03


def test_an_output_belongs_to_the_anchor_of_its_place():
    """One pixel of the finest map is marked; logits answer in its nine anchors and nowhere else."""
    model = build(head_depth=0, backbone_options={"width": 4, "repeats": (1, 1, 1, 1)})
    kernel = np.zeros(model.get_layer("class_out").kernel.shape)  # (3, 3, 8, 9 anchors * 3)
    kernel[1, 1, 0] = np.arange(1, 28)
    model.get_layer("class_out").set_weights([kernel, np.zeros(27)])
    maps = {name: model.get_layer(name).output for name in ("P3_smooth", "P4_smooth", "P5_smooth")}
    heads = keras.Model(
        [maps[name] for name in maps]
        + [model.get_layer("P6_conv").output]
        + [model.get_layer("P7_conv").output],
        model.output["logits"],
    )
    shapes = [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
    values = [np.zeros((1, *shape, 8), "float32") for shape in shapes]
    values[1][0, 2, 5, 0] = 1.0
    found = keras.ops.convert_to_numpy(heads(values))[0]  # (anchors, 3)
    first = 9 * (96 + 2 * 6 + 5)
    np.testing.assert_array_equal(found[first : first + 9], np.arange(1, 28).reshape(9, 3))
    assert np.count_nonzero(found) == 27


def test_heads_are_shared_by_the_levels():
    counts = [
        build(norm=norm, extra_levels=extra).count_params()
        for norm, extra in (
            (None, 0),
            (None, 2),
            ("batch", 0),
            ("batch", 1),
            ("group", 0),
            ("group", 1),
        )
    ]
    convolution = 9 * 8 * 8
    assert counts[1] - counts[0] == 2 * (convolution + 8)
    # Batch norm has statistics for each level: one in the pyramid, one in each head.
    assert counts[3] - counts[2] == convolution + 3 * 4 * 8
    assert counts[5] - counts[4] == convolution + 2 * 8


def test_other_levels_and_anchors():
    model = build(
        levels=("C2", "C3"),
        extra_levels=1,
        anchor_scales=(1.0,),
        anchor_ratios=(1.0,),
        anchor_sizes=(8, 16, 24),
    )
    found = keras.ops.convert_to_numpy(model(np.zeros((1, 64, 96, 3)))["anchors"])[0]
    assert found.shape == (16 * 24 + 8 * 12 + 4 * 6, 4)
    np.testing.assert_array_equal(np.unique(found[:, 2] - found[:, 0]), [8, 16, 24])
    # Without sizes: four times the stride.
    model = build(levels=("C2",), extra_levels=0, anchor_scales=(1.0,), anchor_ratios=(1.0,))
    found = keras.ops.convert_to_numpy(model(np.zeros((1, 64, 96, 3)))["anchors"])[0]
    np.testing.assert_array_equal(found[0], [-8, -8, 8, 8])


def test_without_classes_the_pyramid_remains():
    model = build(num_classes=0)
    assert {name: tensor.shape[1:] for name, tensor in model.output.items()} == {
        "P3": (8, 12, 8),
        "P4": (4, 6, 8),
        "P5": (2, 3, 8),
        "P6": (1, 2, 8),
        "P7": (1, 1, 8),
    }


def test_outputs_are_float32_under_mixed_precision():
    from vislearn import backend

    with backend.precision("mixed_bfloat16"):
        model = build(norm="batch")
    assert {tensor.dtype for tensor in model.output.values()} == {"float32"}
    assert model.get_layer("class_conv1").compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_depth": -1}, "head_depth=-1"),
        ({"prior_probability": 0.0}, r"prior_probability=0\.0"),
        ({"levels": ("C4", "C3")}, r"levels=\('C4', 'C3'\)"),
        ({"levels": ("C3", "C9")}, r"levels=\('C3', 'C9'\)"),
        ({"norm": "layer"}, "norm='layer'"),
        ({"anchor_sizes": (32, 64)}, "one for each of the 5 levels"),
        ({"backbone": "resnet19"}, "name='resnet19'"),
        ({"backbone_options": {"depth": 3}}, "no option depth=3"),
        ({"num_classes": 0, "classifier_activation": "sigmoid"}, "needs heads"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
