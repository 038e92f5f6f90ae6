"""Options of inception networks."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.catalogue import build_shapes
from vislearn.layers import BatchNormalization
from vislearn.layers.inception import mixed, pool
from vislearn.models.classification.inception import AUX_WEIGHT

SMALL = {"num_classes": 5, "width": 0.125}
SIDES = {"googlenet": 64, "inception_v2": 64}
TINY = {
    name: {**SMALL, **vislearn.model_info(name).tiny, "input_shape": (side, side + 16, 3)}
    for name in vislearn.list_models(family="inception")
    for side in (SIDES.get(name, 80),)
}


def create(name, **options):
    return vislearn.create_model(name, **{**TINY[name], **options})


@pytest.mark.parametrize(
    ("name", "sizes", "channels"),
    [
        ("googlenet", (32, 16, 8, 4, 2), (8, 24, 32, 64, 104)),
        ("inception_v2", (32, 16, 8, 4, 2), (8, 24, 32, 72, 128)),
        # 80 pixels: without padding the maps are smaller than 80 / 2^n.
        ("inception_v3", (37, 16, 7, 3, 1), (8, 24, 32, 96, 256)),
        ("inception_v4", (37, 16, 7, 3, 1), (8, 24, 48, 128, 192)),
        ("inception_resnet_v2", (37, 16, 7, 3, 1), (8, 24, 40, 136, 192)),
    ],
)
def test_endpoints(name, sizes, channels):
    levels = ("C1", "C2", "C3", "C4", "C5")
    options = {key: value for key, value in TINY[name].items() if key != "num_classes"}
    body = vislearn.create_backbone(name, levels=levels, **options)
    found = {level: tensor.shape for level, tensor in body.output.items()}
    assert [found[level][1] for level in levels] == [*sizes]
    assert [found[level][3] for level in levels] == [*channels]


@pytest.mark.parametrize(("name", "gamma"), [("inception_v2", True), ("inception_v3", False)])
def test_batch_norm(name, gamma):
    """Too small an epsilon would not show in the comparisons with other libraries."""
    found = [layer for layer in create(name).layers if isinstance(layer, BatchNormalization)]
    assert {(layer.epsilon, layer.momentum, layer.scale) for layer in found} == {(1e-3, 0.9, gamma)}


def test_counts_of_inception_v2_add_up():
    """The sum in its registration: without gamma and head, what TF-slim's test counts."""
    model = build_shapes("inception_v2", num_classes=0, gamma=False)
    first_norm, biases = 3 * 64, 64
    assert model.count_params() - first_norm + biases == 10_173_112


def test_googlenet_of_the_paper_has_5x5_kernels():
    kernels = {3: (3, 3), 5: (5, 5)}
    for size, kernel in kernels.items():
        layer = create("googlenet", large_kernel=size).get_layer("stage3_block1_branch3_conv2")
        assert layer.kernel_size == kernel


@pytest.fixture(scope="module")
def with_aux():
    return create("googlenet", repeats=(1, 4, 1), aux_heads=True)


def test_auxiliary_heads(with_aux):
    assert {name: o.shape for name, o in with_aux.output.items()} == dict.fromkeys(
        ("logits", "aux1", "aux2"), (None, 5)
    )
    # The first reads the first module of stage 4, the second the fourth.
    for number, block in ((1, 1), (2, 4)):
        pooled = with_aux.get_layer(f"aux{number}_pool")
        assert pooled.output.shape[1:3] == (4, 4)
        assert pooled.input is with_aux.get_layer(f"stage4_block{block}_concat").output


def test_auxiliary_losses(with_aux):
    """Their gradients reach the stem, each with `AUX_WEIGHT`; the main answer is a model alone."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (4, 64, 80, 3)).astype("float32")
    labels = np.arange(4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    names = ("logits", "aux1", "aux2")
    with_aux.compile(
        "sgd",
        loss=dict.fromkeys(names, loss),
        loss_weights={"logits": 1.0, "aux1": AUX_WEIGHT, "aux2": AUX_WEIGHT},
        run_eagerly=True,
    )
    found = with_aux.evaluate(x, dict.fromkeys(names, labels), verbose=0, return_dict=True)
    answers = with_aux(x, training=False)
    parts = {name: float(loss(labels, answers[name])) for name in names}
    expected = parts["logits"] + 0.3 * (parts["aux1"] + parts["aux2"])
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    alone = keras.Model(with_aux.input, with_aux.output["logits"])
    assert not [layer for layer in alone.layers if layer.name.startswith("aux")]
    np.testing.assert_allclose(alone(x, training=False), answers["logits"], atol=1e-6)


def test_torchvision_files_of_googlenet_hold_auxiliary_heads(with_aux):
    """Without the option they are left out, and nothing else is."""
    from vislearn.weights import layouts

    layout = layouts("inception", "googlenet")["torchvision"]
    found = {layer.name: layout.module(layer.name) for layer in with_aux.layers if layer.weights}
    assert found["aux1_conv1"] == "aux1.conv.conv"
    assert found["aux2_dense"] == "aux2.fc1"
    assert found["aux2_head"] == "aux2.fc2"
    assert layout.ignores("aux1.fc1.weight")
    assert not layout.ignores("fc.weight")


def test_input_of_torchvision_weights():
    """torchvision scales to mean 0 and deviation 1 by channel, and its network back to -1..1."""
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 80, 3)).astype("float32")
    layer = {
        mode: create("googlenet", preprocessing=mode).get_layer("preprocess")
        for mode in ("imagenet", "symmetric")
    }
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    back = np.asarray(layer["imagenet"](pixels)) * (std / 0.5) + (mean - 0.5) / 0.5
    np.testing.assert_allclose(back, layer["symmetric"](pixels), atol=1e-5)


def test_a_module_concatenates_its_branches():
    inputs = keras.Input((8, 8, 4))
    branches = [[(2, 1)], [(3, 1), [(5, (1, 3)), (7, (3, 1))]], [("max", 3)]]
    outputs = mixed(inputs, branches, name="module")
    assert outputs.shape == (None, 8, 8, 2 + (5 + 7) + 4)
    names = [layer.name for layer in keras.Model(inputs, outputs).layers if layer.weights]
    assert {name for name in names if "conv" in name} == {
        "module_branch1_conv1",
        "module_branch2_conv1",
        "module_branch2_conv2a",
        "module_branch2_conv2b",
    }


@pytest.mark.parametrize(("count_padding", "corner"), [(False, 1.0), (True, 4 / 9)])
def test_average_of_the_padding(count_padding, corner):
    """A window in the corner has four pixels, and five zeros that torch counts."""
    inputs = keras.Input((4, 4, 1))
    outputs = pool(inputs, "avg", 3, count_padding=count_padding, name="pool")
    found = np.asarray(keras.Model(inputs, outputs)(np.ones((1, 4, 4, 1), "float32")))
    assert found.shape == (1, 4, 4, 1)
    assert found[0, 0, 0, 0] == pytest.approx(corner)
    assert found[0, 1, 1, 0] == pytest.approx(1)


def test_residual_modules_are_scaled_but_the_last():
    model = create("inception_resnet_v2", repeats=(1, 1, 2))
    found = {
        layer.name.removesuffix("_scale"): layer.scale
        for layer in model.layers
        if layer.name.endswith("_scale")
    }
    assert found == {
        "stage3_block1": 0.17,
        "stage4_block1": 0.1,
        "stage5_block1": 0.2,
        "stage5_block2": 1.0,
    }
    relus = {layer.name for layer in model.layers if layer.name.endswith("_out")}
    assert relus == {"stage3_block1_out", "stage4_block1_out", "stage5_block1_out"}


def test_dropout():
    assert create("googlenet", dropout=0.4).get_layer("dropout").rate == 0.4
    assert "dropout" not in [layer.name for layer in create("googlenet", dropout=0.0).layers]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("googlenet", {"repeats": (1, 6, 1)}, r"repeats=\(1, 6, 1\) .* at most \(2, 5, 2\)"),
        ("inception_v2", {"repeats": (0, 1, 1)}, r"repeats=\(0, 1, 1\) must be three positive"),
        ("inception_v4", {"repeats": (1, 1)}, r"repeats=\(1, 1\) must be three positive"),
        ("inception_resnet_v2", {"repeats": (1, 1, 0)}, r"repeats=\(1, 1, 0\)"),
        ("inception_v3", {"stage3": (0,)}, r"stage3=\(0,\) must be positive integers"),
        ("inception_v3", {"stage5": 0}, r"stage5=0 must be a positive integer"),
        ("inception_v3", {"width": 0.0}, r"width=0\.0 must be positive"),
        ("inception_v3", {"dropout": 1.0}, r"dropout=1\.0 must be"),
        ("googlenet", {"large_kernel": 4}, "large_kernel=4 must be odd"),
        ("googlenet", {"aux_heads": True}, r"aux_heads=True .* repeats=\(1, 1, 1\)"),
        ("inception_v3", {"input_shape": (74, 80, 3)}, r"input_shape=\(74, 80, 3\)"),
    ],
)
def test_errors(name, options, message):
    with pytest.raises(ValueError, match=message):
        create(name, **options)
