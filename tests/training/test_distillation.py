"""DINO's objective: who follows whom, what is compared, and that a network learns by it."""

import keras
import numpy as np
import pytest
from keras import ops
from two_views import create, views

import vislearn
from vislearn.training.distillation import DistillationObjective
from vislearn.training.trainers import ObjectiveTrainer

SMALL = {"prototypes": 16, "projection": 8}


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_loss_crosses_views():
    """Algorithm 1: H(t1, s2) / 2 + H(t2, s1) / 2, with sharpened teachers."""
    objective = DistillationObjective(create(), **SMALL, temperature=0.5, teacher_temperature=0.1)
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 5, 2, 16)).astype("float32")
    p, q = softmax(teacher / 0.1), np.log(softmax(student / 0.5))
    expected = -(p[:, 0] * q[:, 1] + p[:, 1] * q[:, 0]).sum(axis=-1).mean() / 2
    found = objective.loss(None, (ops.convert_to_tensor(student), ops.convert_to_tensor(teacher)))
    assert [*found] == [*objective.parts]
    assert float(found["cross_entropy"]) == pytest.approx(expected, rel=1e-5)


def test_the_teacher_begins_as_the_student_and_follows_it():
    network, x = create("resnet20_cifar", depth=8, width=4), views()
    objective = DistillationObjective(network, **SMALL, momentum=0.75)
    head, teacher, centering = objective.networks
    student, answers = objective.forward(network, x, seed_generator=None, training=False)
    np.testing.assert_allclose(
        ops.convert_to_numpy(student), ops.convert_to_numpy(answers), rtol=1e-4, atol=1e-5
    )
    assert not np.any(ops.convert_to_numpy(centering.center))
    before = [value.copy() for value in teacher.get_weights()]
    for weight in [*network.weights, *head.weights]:
        weight.assign(weight + 1.0)
    objective.forward(network, x, seed_generator=None, training=True)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_allclose(new, old + 0.25, rtol=1e-5, atol=1e-6)
    # Used, it rests: neither average nor centre moves.
    weights = [*teacher.get_weights(), *centering.get_weights()]
    objective.forward(network, x, seed_generator=None, training=False)
    for old, new in zip(weights, [*teacher.get_weights(), *centering.get_weights()], strict=True):
        np.testing.assert_array_equal(new, old)


def test_training_moves_the_student_and_does_not_collapse():
    network, x = create(), views(32)
    objective = DistillationObjective(network, 32, 8, center_momentum=0.8)
    head, teacher, centering = objective.networks
    trainer = ObjectiveTrainer(network, objective)
    assert {id(w) for w in trainer.trainable_variables} == {
        id(w) for w in [*network.trainable_variables, *head.trainable_variables]
    }
    before = [value.copy() for value in (*network.get_weights(), *head.get_weights())]
    trainer.compile(optimizer=keras.optimizers.Adam(2e-3), loss=None)
    history = trainer.fit(x, batch_size=32, epochs=140, verbose=0).history
    assert history["cross_entropy"] == history["loss"]
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    after = (*network.get_weights(), *head.get_weights())
    assert all(np.any(old != new) for old, new in zip(before, after, strict=True))
    assert np.any(ops.convert_to_numpy(centering.center))
    # The views of a picture are told alike, and pictures are told apart.
    answers = centering(teacher(x.reshape(-1, 8, 8, 1), training=False), training=False)
    classes = np.argmax(ops.convert_to_numpy(answers), axis=-1).reshape(-1, 2)
    assert np.mean(classes[:, 0] == classes[:, 1]) > 0.9
    assert len(set(classes[:, 0])) > 4


def test_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = create()
        objective = DistillationObjective(network, **SMALL)
        outputs = objective.forward(network, views(), seed_generator=None, training=True)
    finally:
        keras.config.set_dtype_policy(policy)
    assert {keras.backend.standardize_dtype(each.dtype) for each in outputs} == {"float32"}
    assert np.isfinite(float(objective.loss(None, outputs)["cross_entropy"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prototypes": 1}, "prototypes=1 must be at least 2"),
        ({"projection": 1}, "projection=1 must be at least 2"),
        ({"teacher_temperature": 0.1}, "teacher_temperature=0.1 must be above 0 and below"),
        ({"momentum": 1.0}, "momentum=1.0 must be at least 0 and below 1"),
        ({"center_momentum": -0.1}, "center_momentum=-0.1 must be"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        DistillationObjective(create(), **options)


def test_a_network_has_to_give_features():
    network = vislearn.create_model("unet", **vislearn.model_info("unet").tiny)
    with pytest.raises(ValueError, match=r"gives .* not \(batch, features\)"):
        DistillationObjective(network)
