"""Options of NFNets, and what their paper claims."""

import keras
import numpy as np
import pytest

import vislearn

SMALL = {
    "input_shape": (64, 32, 3),
    "repeats": (1, 2, 1, 1),
    "filters": (16, 32, 48, 48),
    "group_size": 8,
}


def create(**options):
    return vislearn.create_model("nfnet_f0", **{**SMALL, "num_classes": 5, **options})


def test_stages():
    levels = ("C1", "C2", "C3", "C4", "C5")
    model = vislearn.create_backbone("nfnet_f0", levels=levels, **SMALL)
    assert {level: tensor.shape[1:] for level, tensor in model.output.items()} == {
        "C1": (32, 16, 4),
        "C2": (16, 8, 16),
        "C3": (8, 4, 32),
        "C4": (4, 2, 48),
        "C5": (2, 1, 48),
    }


def test_no_layer_normalises():
    assert not [layer.name for layer in create().layers if "norm" in type(layer).__name__.lower()]


def test_a_new_block_adds_nothing():
    """SkipInit: stage 2's second block, whose shortcut is the identity, is the identity."""
    model = create()
    names = ("stage2_block1_add", "stage2_block2_add")
    both = keras.Model(model.input, [model.get_layer(name).output for name in names])
    before, after = both(np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)))
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_blocks_divide_by_the_deviation_of_the_signal():
    """The variance starts anew at each transition and grows by alpha^2 with each block."""
    model = create(alpha=0.5, repeats=(1, 3, 1), filters=(16, 32, 48))
    gamma = model.get_layer("stage1_block1_gelu1_scale").scale
    found = {
        f"{stage}{block}": (model.get_layer(f"stage{stage}_block{block}_gelu1_scale").scale / gamma)
        for stage, block in ((2, 1), (2, 2), (2, 3), (3, 1))
    }
    expected = {"21": 1.25, "22": 1.25, "23": 1.5, "31": 1.75}
    assert {name: beta**-2 for name, beta in found.items()} == pytest.approx(expected)


def test_activation_keeps_the_variance_of_noise():
    model = create()
    noise = np.random.default_rng(0).normal(size=(400, 1000)).astype("float32")
    x = keras.layers.Activation("gelu")(noise)
    scaled = np.asarray(model.get_layer("final_gelu_scale")(x))
    assert scaled.var() == pytest.approx(1, rel=0.01)


def test_regularisation():
    model = create(dropout=0.3, drop_path_rate=0.5)
    found = {layer.name: layer.rate for layer in model.layers if hasattr(layer, "rate")}
    assert found == pytest.approx(
        {
            "stage1_block1_drop": 0.1,
            "stage2_block1_drop": 0.2,
            "stage2_block2_drop": 0.3,
            "stage3_block1_drop": 0.4,
            "stage4_block1_drop": 0.5,
            "dropout": 0.3,
        }
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": (1, 1)}, r"repeats=\(1, 1\) and filters="),
        ({"filters": (16, 32, 48, 40)}, r"filters=\(16, 32, 48, 40\) must be multiples of 16"),
        ({"group_size": 5}, "twice group_size=5"),
        ({"group_size": 0}, "group_size=0"),
        ({"drop_path_rate": -0.1}, r"drop_path_rate=-0\.1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
