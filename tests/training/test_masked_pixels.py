"""SimMIM's objective: what is grey is looked for, by networks with feature maps."""

import keras
import numpy as np
import pytest
from keras import ops

import vislearn
from vislearn.training.masked_pixels import MaskedPixelsObjective
from vislearn.training.trainers import ObjectiveTrainer

SIDE = 16


def create(name: str = "resnet20_cifar", **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    tiny = {**vislearn.model_info(name).tiny, "num_classes": 0}
    return vislearn.create_model(name, **{**tiny, **options})


def pictures(count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (count, SIDE, SIDE, 3)).astype("float32")


class Recorder:
    """Stands in for a network: keeps what it sees."""

    def __init__(self, network):
        self.network, self.seen = network, []

    def __call__(self, x, training):
        self.seen.append(ops.convert_to_numpy(x))
        return self.network(x, training=training)


def test_hidden_cells_are_grey_and_are_what_is_looked_for():
    objective, images = MaskedPixelsObjective(create()), pictures()
    assert (objective.cell, objective.cells, objective.hidden) == ((4, 4), 16, 10)
    objective.maps = Recorder(objective.maps)
    generator = keras.random.SeedGenerator(0)
    outputs = objective.forward(None, images, seed_generator=generator, training=False)
    found, there = (ops.convert_to_numpy(one) for one in outputs)
    (seen,) = objective.maps.seen

    def cells(x):
        return x.reshape(3, 4, 4, 4, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(3, 16, 48)

    grey = np.all(cells(seen) == 127.5, axis=-1)  # (batch, cells)
    np.testing.assert_array_equal(grey.sum(1), 10)
    np.testing.assert_array_equal(cells(seen)[~grey], cells(images)[~grey])
    assert np.any(grey[0] != grey[1])
    for picture in range(3):
        expected = cells(images)[picture, grey[picture]] / 255
        by_first = [rows[np.argsort(rows[:, 0])] for rows in (there[picture], expected)]
        np.testing.assert_allclose(*by_first, rtol=1e-5)
    loss = objective.loss(None, outputs)
    assert sorted(loss) == sorted(objective.parts)
    assert float(loss["pixel_mae"]) == pytest.approx(np.abs(found - there).mean(), rel=1e-5)


def test_a_cell_is_found_by_the_features_of_its_place():
    objective, images = MaskedPixelsObjective(create()), pictures()

    class Places:
        """Features that are the number of their cell."""

        def __call__(self, x, training):
            numbers = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
            return ops.convert_to_tensor(np.broadcast_to(numbers, (3, 4, 4, 1)))

    objective.maps, objective.networks = Places(), (lambda maps, training: maps,)
    numbered = np.arange(16, dtype="float32").reshape(4, 4).repeat(4, 0).repeat(4, 1)
    images = np.broadcast_to(numbered[None, :, :, None], images.shape)
    generator = keras.random.SeedGenerator(0)
    outputs = objective.forward(None, images, seed_generator=generator, training=False)
    found, there = (ops.convert_to_numpy(one) for one in outputs)
    np.testing.assert_allclose(found[..., 0], 255 * there[..., 0], atol=1e-3)


def test_training_moves_network_and_head():
    network = create()
    objective = MaskedPixelsObjective(network)
    trainer = ObjectiveTrainer(network, objective)
    colours = np.random.default_rng(0).uniform(0, 255, (128, 1, 1, 3))
    images = np.broadcast_to(colours, (128, SIDE, SIDE, 3)).astype("float32")
    before = [variable.numpy().copy() for variable in trainer.trainable_variables]
    trainer.compile(optimizer=keras.optimizers.Adam(1e-2), loss=None)
    history = trainer.fit(images, batch_size=32, epochs=15, verbose=0).history
    assert history["pixel_mae"] == history["loss"]
    # A quarter is the mean distance of a colour 0..1 from the grey in the middle.
    assert history["loss"][-1] < 0.12
    pairs = zip(before, trainer.trainable_variables, strict=True)
    moved = [np.any(old != new.numpy()) for old, new in pairs]
    assert all(moved)
    assert len(moved) == len(network.trainable_variables) + 2


@pytest.mark.parametrize("name", ["resnet50_v2", "mobilenet_v3_small", "swin_tiny", "lenet5"])
def test_networks_with_feature_maps(name):
    network = create(name, input_shape=(64, 64, 3))
    objective = MaskedPixelsObjective(network, 0.5)
    generator = keras.random.SeedGenerator(0)
    x = np.zeros((2, 64, 64, 3), "float32")
    found, there = objective.forward(network, x, seed_generator=generator, training=False)
    assert found.shape == there.shape
    assert found.shape[1] * found.shape[2] == 64 * 64 * 3 / 2


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"masked=1.0 hides 16 of 16 cells"):
        MaskedPixelsObjective(create(), masked=1.0)
    with pytest.raises(ValueError, match=r"5 x 5, does not divide the image, 18 x 18"):
        MaskedPixelsObjective(create(input_shape=(18, 18, 3)))
    with pytest.raises(ValueError, match=r"has tokens and no feature maps; method='mae'"):
        MaskedPixelsObjective(create("vit_small_patch16"))
