"""Options of NASNets."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.catalogue import build_shapes
from vislearn.models.classification import nasnet

SMALL = {
    "input_shape": (64, 64, 3),
    "num_classes": 5,
    "repeats": (1,),
    "penultimate_filters": 24,
    "stem_filters": 4,
}


def shapes(**options):
    """With shapes alone, as nothing is computed."""
    return build_shapes("nasnet_mobile", **{**SMALL, **options})


def create(**options):
    return vislearn.create_model("nasnet_mobile", **{**SMALL, **options})


def test_endpoints_of_the_published_sizes():
    """Stem and stages of 4 @ 1056: the last cell has that many maps."""
    model = build_shapes("nasnet_mobile")
    found = {
        name: model.get_layer(name).output.shape[1:] for name in ("C1", "C2", "C3", "C4", "C5")
    }
    assert found == {
        "C1": (111, 111, 32),
        "C2": (56, 56, 4 * 11),
        "C3": (28, 28, 264),
        "C4": (14, 14, 528),
        "C5": (7, 7, 1056),
    }


@pytest.mark.parametrize(("skip", "source"), [(False, "stage1_cell2"), (True, "stage1_cell1")])
def test_what_follows_a_reduction_reads_beside_it(skip, source):
    """The input of the reduction cell, or the cell before that."""
    model = shapes(repeats=(2, 1), penultimate_filters=48, skip_reduction_input=skip)
    tensor = model.get_layer("stage2_cell1_previous_relu").input
    if not skip:
        assert tensor._keras_history.operation.name == "C3"
        tensor = model.get_layer("C3").input
    assert tensor._keras_history.operation.name == f"{source}_concat"


def identity(x, *, name):
    """In place of batch norm."""
    return keras.layers.Identity(name=name)(x)


def test_halves_of_a_fitted_map_read_even_and_odd_pixels():
    image = keras.Input((5, 6, 2))
    like = keras.Input((3, 3, 4))
    fitted = nasnet.fit(image, like, 4, norm=identity, name="previous")
    model = keras.Model([image, like], fitted)
    for half in (1, 2):
        model.get_layer(f"previous_conv{half}").set_weights(
            [np.eye(2, dtype="float32")[None, None]]
        )
    x = np.arange(1, 61, dtype="float32").reshape(1, 5, 6, 2)
    found = np.asarray(model([x, np.zeros((1, 3, 3, 4), "float32")]))
    np.testing.assert_array_equal(found[..., :2], x[:, ::2, ::2])
    odd = np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1::2, 1::2]
    np.testing.assert_array_equal(found[..., 2:], odd)


@pytest.mark.parametrize(("side", "first"), [(6, 1), (5, 0)])
def test_pooling_with_stride_sees_zeros_beyond_the_border(side, first):
    image = keras.Input((side, side, 1))
    model = keras.Model(image, nasnet.pool(image, "average", 3, stride=2, name="pool"))
    found = np.asarray(model(np.full((1, side, side, 1), 9.0, "float32")))[0, ..., 0]
    assert found.shape == (3, 3)
    assert found[1, 1] == 9
    assert found[-1, -1] == 4
    assert found[0, 0] == (9 if first else 4)


def test_drop_path_grows_with_depth_and_spares_identities():
    model = shapes(drop_path_rate=0.3, dropout=0.5)
    found = {layer.name: layer.rate for layer in model.layers if "drop" in layer.name}
    assert found.pop("dropout") == 0.5
    for index, (cell, operations) in enumerate(
        (("stem_cell1", 9), ("stem_cell2", 9), ("stage1_cell1", 8)), start=1
    ):
        rates = [rate for name, rate in found.items() if name.startswith(cell)]
        assert rates == pytest.approx([0.1 * index] * operations)
    assert len(found) == 26


def test_batch_norm_of_the_published_weights():
    model = shapes()
    norms = [layer for layer in model.layers if hasattr(layer, "moving_mean")]
    assert {layer.epsilon for layer in norms} == {1e-3}
    assert {layer.momentum for layer in norms} == {0.99}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": ()}, r"repeats=\(\) must be positive integers"),
        ({"repeats": (0,)}, r"repeats=\(0,\)"),
        (
            {"penultimate_filters": 100},
            "penultimate_filters=100 must be a positive multiple of 24",
        ),
        (
            {"repeats": (1, 1, 1)},
            "penultimate_filters=24 must be a positive multiple of 96",
        ),
        ({"penultimate_filters": 0}, "penultimate_filters=0"),
        ({"dropout": 1.0}, r"dropout=1\.0 must be at least 0"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
