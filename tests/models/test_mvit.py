"""Options of multiscale vision transformers."""

import numpy as np
import pytest

import vislearn
from vislearn.layers import PoolingAttention
from vislearn.layers.pooling_attention import relative_index

SMALL = {"input_shape": (64, 96, 3), "num_classes": 5, "dim": 8, "repeats": (1, 2, 1, 1)}


def create(name="mvit_v2_tiny", **options):
    return vislearn.create_model(name, **{**SMALL, **options})


def attentions(model):
    return [layer for layer in model.layers if isinstance(layer, PoolingAttention)]


@pytest.mark.parametrize("name", ["mvit_v2_tiny", "mvit_base"])
def test_endpoints(name):
    options = {key: value for key, value in SMALL.items() if key != "num_classes"}
    backbone = vislearn.create_backbone(name, levels=("C2", "C3", "C4", "C5"), **options)
    shapes = {level: tensor.shape[1:3] for level, tensor in backbone.output.items()}
    assert shapes == {"C2": (16, 24), "C3": (8, 12), "C4": (4, 6), "C5": (2, 3)}


def test_channels_double_a_stage():
    model = create()
    assert [model.get_layer(f"C{n}").output.shape[-1] for n in range(2, 6)] == [8, 16, 32, 64]


@pytest.mark.parametrize(
    ("name", "pools"), [("mvit_v2_tiny", [3] * 5), ("mvit_base", [2, 3, 2, 3, 3])]
)
def test_version_1_pools_queries_only_where_they_get_fewer(name, pools):
    assert [len(layer.pooled) for layer in attentions(create(name))] == pools


def test_keys_stay_as_many_while_queries_get_fewer():
    """Keys of the first block of each stage: the adaptive stride of the authors' code."""
    found = [layer.key_grid for layer in attentions(create())]
    assert found == [(4, 6), (8, 12), (4, 6), (8, 12), (4, 6)]


def test_epsilon_of_the_published_weights():
    found = {layer.epsilon for layer in create().layers if "norm" in layer.name}
    assert found == {1e-6}


def test_relative_positions_of_two_grids():
    np.testing.assert_array_equal(relative_index(2, 2), [[1, 0], [2, 1]])
    np.testing.assert_array_equal(relative_index(4, 2), [[2, 0], [3, 1], [4, 2], [5, 3]])
    assert relative_index(2, 4).max() == 5
    assert relative_index(2, 4).min() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 3}, "version=3 must be 1 or 2"),
        ({"repeats": (1, 0)}, r"repeats=\(1, 0\)"),
        ({"key_stride": 0}, "key_stride=0 must be at least 1"),
        ({"num_heads": 3}, "num_heads=3 must divide dim=8"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
