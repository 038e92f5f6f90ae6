"""Options of the transformer with attention in linear time."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.multiply_adds import count_multiply_adds

SMALL = {"input_shape": (32, 48, 3), "dim": 8, "depth": 2, "num_heads": 2, "num_features": 16}


def create(**options):
    return vislearn.create_model("performer_vit_small", **{**SMALL, **options})


def vectors(model):
    return [
        keras.ops.convert_to_numpy(model.get_layer(f"block{block}_attention").projection)
        for block in (1, 2)
    ]


def test_blocks_and_seeds_have_random_vectors_of_their_own():
    first, second = vectors(create())
    assert np.any(first != second)
    np.testing.assert_array_equal(vectors(create())[0], first)
    assert np.any(vectors(create(seed=10))[0] != first)


def test_work_grows_with_the_tokens_and_not_with_their_square():
    """Eight times the patches, up to what embedding and head are: less than nine times the work."""
    small = count_multiply_adds(create(input_shape=(64, 64, 3)))
    large = count_multiply_adds(create(input_shape=(128, 256, 3)))
    assert 7 < large / small < 8.1
    softmax = {"dim": 8, "depth": 2, "num_heads": 2}
    small, large = (
        count_multiply_adds(
            vislearn.create_model("vit_small_patch16", input_shape=shape, **softmax)
        )
        for shape in ((256, 256, 3), (512, 1024, 3))
    )
    assert large / small > 9


def test_levels_for_dense_tasks():
    backbone = vislearn.create_backbone("performer_vit_small", levels=("C3", "C4"), **SMALL)
    shapes = {level: tensor.shape[1:] for level, tensor in backbone.output.items()}
    assert shapes == {"C3": (4, 6, 4), "C4": (2, 3, 8)}


def test_regularisation():
    model = create(dropout=0.1, drop_path_rate=0.2)
    rates = {layer.name: layer.rate for layer in model.layers if hasattr(layer, "rate")}
    assert rates["block2_attention_drop"] == 0.2
    assert rates["block1_mlp_dropout1"] == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "num_heads=3 must divide dim=8"),
        ({"num_features": 0}, "num_features=0"),
        ({"patch_size": 15}, "patch_size=15"),
        ({"depth": 0}, "depth=0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
