"""Options of vision transformers."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.training.recipes import NOT_DECAYED

SMALL = {"input_shape": (32, 48, 3), "patch_size": 16, "dim": 8, "depth": 2, "num_heads": 2}


def create(**options):
    return vislearn.create_model("vit_tiny_patch16", **{**SMALL, **options})


def test_endpoints_hold_the_class_token_and_one_token_a_patch():
    model = create()
    for block in (1, 2):
        assert model.get_layer(f"block{block}_out").output.shape == (None, 1 + 2 * 3, 8)


def test_features_are_the_class_token_alone():
    model = create(num_classes=0)
    both = keras.Model(model.input, [model.output, model.get_layer("norm").output])
    features, tokens = both(np.full((1, 32, 48, 3), 100.0, "float32"))
    np.testing.assert_array_equal(np.asarray(features), np.asarray(tokens)[:, 0])


def test_position_matters():
    """The same patches in another order give another answer, and only through the positions."""
    model = create()
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 48, 3)).astype("float32")
    turned = np.roll(pixels, 16, axis=2)  # Whole patches move.
    answers = [np.asarray(model(image)) for image in (pixels, turned)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-6
    positions = model.get_layer("position_embedding")
    positions.set_weights([np.zeros(positions.positions.shape)])
    answers = [np.asarray(model(image)) for image in (pixels, turned)]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


def test_regularisation():
    model = create(dropout=0.1, drop_path_rate=0.2)
    found = {layer.name: layer.rate for layer in model.layers if hasattr(layer, "rate")}
    assert found == {
        "dropout": 0.1,
        **{
            f"block{block}_{part}": 0.1
            for block in (1, 2)
            for part in ("attention_dropout", "mlp_dropout", "mlp_dropout1")
        },
        **{
            f"block{block}_{part}_drop": rate
            for block, rate in ((1, 0.1), (2, 0.2))
            for part in ("attention", "mlp")
        },
    }


def test_names_that_recipes_do_not_decay():
    """The class token and the positions are no kernels."""
    found = {variable.name for variable in create().trainable_variables}
    kernels = {name for name in found if not any(part in name for part in NOT_DECAYED)}
    assert kernels == {"kernel", "qkv_kernel", "output_kernel"}
    assert {"class_token", "position_embedding"} < found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 3}, "num_heads=3 must divide dim=8"),
        ({"num_heads": 0}, "num_heads=0"),
        ({"patch_size": 15}, r"patch_size=15 must divide the image's sides, \(32, 48\)"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"depth": 0}, "depth=0"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)


def test_epsilon_of_the_published_weights():
    """Too small for the parity with NumPy to notice, on activations of order 1."""
    found = [layer.epsilon for layer in create().layers if "norm" in layer.name]
    assert found == [1e-6] * 5


def test_dinov2_gives_features_unless_a_head_is_asked_for():
    small = {**SMALL, "input_shape": (28, 42, 3), "patch_size": 14}
    features = vislearn.create_model("dinov2_small", **small)
    assert features.output_shape == (None, 8)
    scales = [layer for layer in features.layers if layer.name.endswith("_scale")]
    assert len(scales) == 4
    for layer in scales:
        np.testing.assert_array_equal(layer.get_weights(), np.full((1, 8), 1e-5, "float32"))
    assert vislearn.create_model("dinov2_small", num_classes=3, **small).output_shape == (None, 3)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def up(x, layer):
    """A transposed convolution of stride 2 whose 2x2 windows don't overlap."""
    kernel, bias = layer.get_weights()  # (2, 2, out, in)
    batch, rows, columns, _ = x.shape
    y = np.einsum("bijc,klfc->bikjlf", x, kernel)
    return y.reshape(batch, 2 * rows, 2 * columns, -1) + bias


def test_levels_are_made_of_the_last_map():
    """Figure 2c of ViTDet, between which and its tokens nothing stands."""
    backbone = vislearn.create_backbone(
        "vit_tiny_patch16",
        levels=("C2", "C3", "C4", "C5"),
        **{**SMALL, "input_shape": (48, 80, 3)},
    )
    tokens = backbone.get_layer("block2_out").output
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 48, 80, 3)).astype("float32")
    tokens, found = keras.Model(backbone.input, [tokens, backbone.output])(pixels)
    found = {level: numpy(value) for level, value in found.items()}
    x = numpy(tokens)[:, 1:].reshape(2, 3, 5, 8)
    np.testing.assert_array_equal(found["C4"], x)
    layer = backbone.get_layer
    np.testing.assert_allclose(found["C3"], up(x, layer("C3_up1")), atol=1e-5)
    y = layer("C2_gelu1")(layer("C2_norm1")(up(x, layer("C2_up1"))))
    np.testing.assert_allclose(found["C2"], up(numpy(y), layer("C2_up2")), atol=1e-5)
    assert found["C2"].shape == (2, 12, 20, 2)
    assert found["C5"].shape == (2, 2, 3, 8), "halves are rounded up"
    np.testing.assert_array_equal(found["C5"][:, 0, 0], x[:, :2, :2].max(axis=(1, 2)))


def test_only_a_backbone_has_levels_and_only_those_asked_for():
    assert not [layer.name for layer in create().layers if layer.name.startswith("C")]
    backbone = vislearn.create_backbone("vit_tiny_patch16", levels=("C3",), **SMALL)
    names = [layer.name for layer in backbone.layers if layer.name.startswith("C")]
    assert names == ["C3_up1", "C3"]
    assert "norm" not in [layer.name for layer in backbone.layers]


@pytest.mark.parametrize(
    ("patch_size", "levels", "sides"),
    [
        (14, ("C2", "C3", "C4", "C5"), (24, 12, 6, 3)),
        (32, ("C3", "C4", "C5", "C6"), (12, 6, 3, 2)),
        (4, ("C0", "C1", "C2", "C3"), (84, 42, 21, 11)),
    ],
)
def test_levels_of_other_patches(patch_size, levels, sides):
    """Of the nearest power of two: patches of 14 make levels of 3.5, 7, 14 and 28 pixels."""
    side = {14: 84, 32: 96, 4: 84}[patch_size]
    options = {**SMALL, "patch_size": patch_size, "input_shape": (side, side, 3)}
    backbone = vislearn.create_backbone("vit_tiny_patch16", levels=levels, **options)
    assert tuple(backbone.output[level].shape[1] for level in levels) == sides


@pytest.mark.parametrize("levels", [(), ("C1",), ("C4", "C6")])
def test_wrong_levels(levels):
    with pytest.raises(ValueError, match=r"levels=.*has the levels \['C2', 'C3', 'C4', 'C5'\]"):
        vislearn.create_backbone("vit_tiny_patch16", levels=levels, **SMALL)


def test_a_detector_reads_it():
    backbone_options = {key: SMALL[key] for key in ("patch_size", "dim", "depth", "num_heads")}
    model = vislearn.create_model(
        "retinanet",
        input_shape=(64, 64, 3),
        num_classes=3,
        backbone="vit_tiny_patch16",
        backbone_options=backbone_options,
        fpn_channels=8,
        head_depth=1,
    )
    # 8x8, 4x4, 2x2, 1x1 and 1x1 cells, nine anchors each.
    assert model.output["logits"].shape == (None, 9 * (64 + 16 + 4 + 2), 3)


def test_a_file_of_another_image_size(tmp_path):
    """Positions of 2 x 3 patches become those of 4 x 3, symmetrically; all else stays."""
    path = str(tmp_path / "small.keras")
    small = create()
    small.save(path)
    large = create(input_shape=(64, 48, 3), weights=path)
    old, new = (
        model.get_layer("position_embedding").get_weights()[0][0] for model in (small, large)
    )
    assert new.shape == (1 + 4 * 3, 8)
    np.testing.assert_array_equal(new[0], old[0])
    np.testing.assert_allclose(
        new[1:].reshape(4, 3, 8).mean(0), old[1:].reshape(2, 3, 8).mean(0), atol=1e-6
    )
    same = create(weights=path)
    np.testing.assert_array_equal(same.get_layer("position_embedding").get_weights()[0][0], old)
    for layer in ("patch_embedding", "block2_attention", "head"):
        for one, other in zip(
            small.get_layer(layer).get_weights(), large.get_layer(layer).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
