"""SimCLR's objective: which views are told to be alike, and that a network learns by it."""

import keras
import numpy as np
import pytest
from keras import ops
from two_views import create, views

import vislearn
from vislearn.losses import nt_xent
from vislearn.training.contrastive import ContrastiveObjective
from vislearn.training.trainers import ObjectiveTrainer


def test_views_of_a_picture_are_partners():
    network, x = create(), views(common=127)
    objective = ContrastiveObjective(network, temperature=0.2, projection=7)
    z = objective.forward(network, x, seed_generator=None, training=True)
    assert z.shape == (6, 2, 7)
    (project,) = objective.networks
    apart = [project(network(x[:, number])) for number in (0, 1)]
    for number in (0, 1):
        found, expected = (ops.convert_to_numpy(one) for one in (z[:, number], apart[number]))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    loss = objective.loss(None, z)
    assert sorted(loss) == sorted(objective.parts)
    assert float(loss["nt_xent"]) == pytest.approx(
        float(nt_xent(*apart, temperature=0.2)), rel=1e-5
    )


def test_batch_norm_sees_both_views_at_once():
    """As of separate batches, the statistics would tell the first views from the second."""
    network = create("resnet20_cifar", depth=8, width=4)
    objective, x = ContrastiveObjective(network), views(common=127)
    x[:, 1] += 100
    z = ops.convert_to_numpy(objective.forward(network, x, seed_generator=None, training=True))
    both = network(x.reshape(-1, 8, 8, 1), training=True)
    expected = ops.convert_to_numpy(objective.networks[0](both)).reshape(6, 2, -1)
    np.testing.assert_allclose(z, expected, rtol=1e-3, atol=1e-4)


def test_training_moves_network_and_projection():
    network, x = create(), views(32, common=127)
    objective = ContrastiveObjective(network, temperature=0.2)
    trainer = ObjectiveTrainer(network, objective)
    parts = {"network": network, "projection": objective.networks[0]}
    before = {name: [w.copy() for w in part.get_weights()] for name, part in parts.items()}
    trainer.compile(optimizer=keras.optimizers.Adam(1e-2), loss=None)
    history = trainer.fit(x, batch_size=16, epochs=40, verbose=0).history
    assert history["nt_xent"] == history["loss"]
    assert history["loss"][0] > 2.5  # log(31) = 3.4 where all projections are alike.
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    for name, part in parts.items():
        pairs = zip(before[name], part.get_weights(), strict=True)
        assert all(np.any(old != new) for old, new in pairs), name
    # What the trainer saves and resumes holds the projection; what a run leaves does not.
    assert len(trainer.trainable_variables) == sum(len(weights) for weights in before.values())
    assert network.output_shape == (None, 12)


def test_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = create()
        objective = ContrastiveObjective(network, temperature=0.07)
        z = objective.forward(network, views(common=127), seed_generator=None, training=True)
    finally:
        keras.config.set_dtype_policy(policy)
    assert keras.backend.standardize_dtype(z.dtype) == "float32"
    assert np.isfinite(float(objective.loss(None, z)["nt_xent"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0.0 must be positive"),
        ({"projection": 0}, r"projection=0 must be at least 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveObjective(create(), **options)


def test_a_network_has_to_give_features():
    network = vislearn.create_model("unet", **vislearn.model_info("unet").tiny)
    with pytest.raises(ValueError, match=r"gives .* not \(batch, features\)"):
        ContrastiveObjective(network)
