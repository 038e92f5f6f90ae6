"""The masked autoencoder's objective: what is hidden stays hidden, and is found."""

import keras
import numpy as np
import pytest
from keras import ops

import vislearn
from vislearn.training.masked import MaskedObjective, _on_tokens, _positions
from vislearn.training.trainers import ObjectiveTrainer

SIDE, PATCH = 16, 4
COUNT = (SIDE // PATCH) ** 2  # patches


def create(name: str = "vit_small_patch16", **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    small = {"input_shape": (SIDE, SIDE, 3), "num_classes": 0}
    sizes = {"patch_size": PATCH, "dim": 32, "depth": 2, "num_heads": 4}
    return vislearn.create_model(name, **{**small, **sizes, **options})


def pictures(count: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (count, SIDE, SIDE, 3)).astype("float32")


def cut(images) -> np.ndarray:
    """The patches `(batch, patches, values)`, one by one."""
    corners = [(y, x) for y in range(0, SIDE, PATCH) for x in range(0, SIDE, PATCH)]
    return np.stack(
        [images[:, y : y + PATCH, x : x + PATCH].reshape(len(images), -1) for y, x in corners], 1
    )


def forward(objective, network, x, seed: int = 0):
    """What is found and what is there, `(batch, hidden, values)`, as arrays."""
    generator = keras.random.SeedGenerator(seed)
    outputs = objective.forward(network, x, seed_generator=generator, training=False)
    return [ops.convert_to_numpy(one) for one in outputs]


def numbered(count: int = 3) -> np.ndarray:
    """Pictures whose k-th patch has the value k everywhere."""
    numbers = np.arange(COUNT, dtype="float32").reshape(SIDE // PATCH, SIDE // PATCH)
    picture = numbers.repeat(PATCH, 0).repeat(PATCH, 1)[None, :, :, None]
    return np.broadcast_to(picture, (count, SIDE, SIDE, 3)).copy()


def hidden(objective, network, count: int = 3, seed: int = 0) -> np.ndarray:
    """The numbers of the hidden patches `(count, hidden)`."""
    _, there = forward(objective, network, numbered(count), seed)
    return np.round(255 * there[..., 0]).astype(int)


def test_targets_are_the_patches_row_by_row():
    images, network = pictures(), create()
    found = MaskedObjective(network, normalize=False).targets(images)
    np.testing.assert_allclose(ops.convert_to_numpy(found), cut(images) / 255, rtol=1e-5)
    images[0, :PATCH, :PATCH] = 77  # A patch without contrast.
    found = ops.convert_to_numpy(MaskedObjective(network).targets(images))
    values = cut(images.astype(np.float64)) / 255
    centred = values - values.mean(-1, keepdims=True)
    expected = centred / np.sqrt(values.var(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert np.abs(found[0, 0]).max() < 1e-3


def test_patches_are_hidden_at_random_and_as_many_as_said():
    network = create()
    objective = MaskedObjective(network, normalize=False)
    found = hidden(objective, network, count=400)
    assert found.shape == (400, 12)
    assert all(len(set(row)) == 12 for row in found.tolist())
    # Five standard deviations of a count of 400 draws with probability 3/4.
    counts = np.bincount(found.ravel(), minlength=COUNT)
    assert np.abs(counts - 300).max() < 5 * np.sqrt(400 * 0.75 * 0.25)
    assert np.any(hidden(objective, network, seed=1) != hidden(objective, network, seed=0))
    assert hidden(MaskedObjective(network, 0.5, normalize=False), network).shape == (3, 8)


def test_nothing_of_what_is_hidden_is_seen():
    """Other pixels there change nothing; other pixels elsewhere change everything."""
    network, images = create(), pictures()
    objective = MaskedObjective(network, normalize=False)
    numbers = hidden(objective, network)
    found, there = forward(objective, network, images)
    rows = np.arange(3)[:, None]
    np.testing.assert_allclose(there, cut(images)[rows, numbers] / 255, rtol=1e-5)
    for part in ("hidden", "visible"):
        changed = images.copy()
        for picture, row in enumerate(numbers):
            for number in range(COUNT):
                if (number in row) == (part == "hidden"):
                    y, x = (PATCH * place for place in divmod(number, SIDE // PATCH))
                    changed[picture, y : y + PATCH, x : x + PATCH] = (
                        255 - changed[picture, y : y + PATCH, x : x + PATCH]
                    )
        again, _ = forward(objective, network, changed)
        differs = np.abs(again - found).max(axis=(1, 2))
        assert (differs.max() < 1e-6) if part == "hidden" else (differs.min() > 1e-4)


@pytest.mark.parametrize("name", ["vit_small_patch16", "performer_vit_small"])
def test_the_encoder_is_the_network(name):
    """With all patches, in another order, it gives the features of the network, by its weights."""
    options = {"num_features": 16} if name.startswith("performer") else {"layer_scale": 0.1}
    network, images = create(name, **options), pictures()
    positions = _positions(network)
    encoder = _on_tokens(network, positions, 1 + COUNT)
    tokens = ops.convert_to_numpy(keras.Model(network.input, positions.output)(images))
    order = np.r_[0, 1 + np.random.default_rng(0).permutation(COUNT)]
    features = ops.convert_to_numpy(encoder(tokens[:, order]))[:, 0]
    np.testing.assert_allclose(
        features, ops.convert_to_numpy(network(images)), rtol=1e-3, atol=1e-4
    )
    owned = {id(variable) for variable in network.weights}
    assert {id(variable) for variable in encoder.weights} < owned
    # Nor has the network changed by it.
    assert network.get_layer("norm").output.shape == (None, 1 + COUNT, 32)


def test_it_learns_what_is_where():
    """Pictures of any brightness that grow brighter to the right, by as much in all of them.

    A hidden patch follows from the brightness of the visible ones and from its own place.
    """
    network = create(depth=1)
    brightness = np.random.default_rng(0).uniform(0, 127, (256, 1, 1, 1))
    ramp = np.linspace(0, 128, SIDE // PATCH).repeat(PATCH)[:, None]
    images = np.broadcast_to(brightness + ramp, (256, SIDE, SIDE, 3)).astype("float32")
    objective = MaskedObjective(network, decoder_depth=1, normalize=False)
    trainer = ObjectiveTrainer(network, objective)
    before = {
        "network": [w.copy() for w in network.get_weights()],
        "decoder": [w.copy() for part in objective.networks for w in part.get_weights()],
    }
    trainer.compile(optimizer=keras.optimizers.Adam(3e-3), loss=None)
    history = trainer.fit(images, batch_size=32, epochs=9, verbose=0).history
    assert history["patch_mse"] == history["loss"]
    # Without the one, 0.02 would be left, the variance of the brightness; without the other, 0.035.
    assert history["loss"][-1] < 0.008
    after = {
        "network": network.get_weights(),
        "decoder": [w for part in objective.networks for w in part.get_weights()],
    }
    for name in before:
        pairs = zip(before[name], after[name], strict=True)
        assert all(np.any(old != new) for old, new in pairs), name
    assert len(trainer.trainable_variables) == sum(len(weights) for weights in after.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masked": 0.0}, "masked=0.0 leaves 16 of 16 patches"),
        ({"masked": 1.0}, "masked=1.0 leaves 0 of 16 patches"),
        ({"decoder_depth": 0}, "decoder_depth=0 must be at least 1"),
        ({"decoder_dim": 65}, "decoder_dim=65 must be a positive multiple of its 2 heads"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        MaskedObjective(create(), **options)


@pytest.mark.parametrize("name", ["resnet20_cifar", "mvit_base", "swin_tiny", "mixer_s16"])
def test_other_networks_are_refused(name):
    network = vislearn.create_model(name, **{**vislearn.model_info(name).tiny, "num_classes": 0})
    with pytest.raises(ValueError, match=r"method='mae'.*vit_small_patch16"):
        MaskedObjective(network)
