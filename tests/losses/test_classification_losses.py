"""Losses of classifiers against float64 NumPy, their slopes against differences of it."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from vislearn import backend
from vislearn.losses import ClassificationLoss
from vislearn.losses.boxes import BOX_LOSSES
from vislearn.losses.classification import FORMULAS, OF_DISTRIBUTIONS, OF_SIGNS


def log_softmax(o):
    shifted = o - o.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(o):
    return np.exp(log_softmax(o))


def x_log_x(y):
    return np.where(y > 0, y * np.log(np.where(y > 0, y, 1)), 0)


def cauchy_schwarz(y, o):
    """In logarithms relative to the largest product, which is 0 in float64 too for 1e4."""
    log_p, kept = log_softmax(o), y > 0
    products = np.where(kept, log_p + np.log(np.where(kept, y, 1)), -np.inf)
    largest = products.max(axis=-1)
    shared = largest + np.log(np.exp(products - largest[:, None]).sum(axis=-1))
    return np.log(norm(softmax(o)) * norm(y)) - shared


def norm(x):
    return np.sqrt((x**2).sum(axis=-1))


def tanimoto(y, o):
    p = softmax(o)
    dot = (p * y).sum(axis=-1)
    return -dot / (norm(p) ** 2 + norm(y) ** 2 - dot)


def sigmoid_focal(y, o, alpha=0.25, gamma=2.0):
    s = np.where(y > 0, 1, -1)
    log_p, log_rest = -np.logaddexp(0, -s * o), -np.logaddexp(0, s * o)
    weight = np.where(y > 0, alpha, 1 - alpha)
    return -(weight * np.exp(gamma * log_rest) * log_p).sum(axis=-1)


def short(t, o, margin):
    return np.maximum(0, margin - t * o)


# By the formulas of the table, with y one-hot or a distribution, t its signs, and raw outputs o.
REFERENCES = {
    "l1": lambda y, o: np.abs(y - o).sum(axis=-1),
    "l2": lambda y, o: ((y - o) ** 2).sum(axis=-1),
    "expectation": lambda y, o: np.abs(y - softmax(o)).sum(axis=-1),
    "regularized_expectation": lambda y, o: ((y - softmax(o)) ** 2).sum(axis=-1),
    "chebyshev": lambda y, o: np.abs(y - softmax(o)).max(axis=-1),
    "hinge": lambda t, o, margin=0.5: short(t, o, margin).sum(axis=-1),
    "squared_hinge": lambda t, o, margin=0.5: (short(t, o, margin) ** 2).sum(axis=-1),
    "cubed_hinge": lambda t, o, margin=0.5: (short(t, o, margin) ** 3).sum(axis=-1),
    "log": lambda y, o: -(y * log_softmax(o)).sum(axis=-1),
    "squared_log": lambda y, o: ((y * log_softmax(o)) ** 2).sum(axis=-1),
    "tanimoto": tanimoto,
    "cauchy_schwarz": cauchy_schwarz,
    "kl_divergence": lambda y, o: (x_log_x(y) - y * log_softmax(o)).sum(axis=-1),
    "focal": lambda y, o, gamma=2.0: -(y * (1 - softmax(o)) ** gamma * log_softmax(o)).sum(axis=-1),
    "sigmoid_focal": sigmoid_focal,
}
OPTIONS = {
    "hinge": {"margin": 1.0},
    "squared_hinge": {"margin": 1.0},
    "cubed_hinge": {"margin": 2.0},
    "focal": {"gamma": 0.5},
    "sigmoid_focal": {"alpha": 0.6, "gamma": 1.5},
}


def batch(classes=7, scale=1.0, count=32):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, count)
    return labels, (rng.normal(size=(count, classes)) * scale).astype("float32")


def corners():
    """Sure and right, sure and wrong, all equal, and outputs of 1e4."""
    outputs = [[40, 0, 0], [0, 40, 0], [0, 0, 0], [1e4, -1e4, 0], [-1e4, 1e4, 0], [1, 0, 0]]
    return np.zeros(6, int), np.array(outputs, "float32")


def target(name, labels, classes):
    one_hot = np.eye(classes)[labels]
    return 2 * one_hot - 1 if name in OF_SIGNS else one_hot


def losses(name, y, outputs, **arguments):
    loss = ClassificationLoss(name, reduction=None, **arguments)(y, outputs)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    return ops.convert_to_numpy(loss)


def slopes(name, y, outputs, **arguments):
    loss = ClassificationLoss(name, reduction="sum", **arguments)
    outputs = ops.convert_to_tensor(outputs)
    found = backend.input_gradient(lambda o: loss(y, o), outputs, [])
    return ops.convert_to_numpy(ops.cast(found, "float32"))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["usual", "options"])
@pytest.mark.parametrize("name", FORMULAS)
def test_equals_numpy(name, options):
    options = options.get(name, {})
    for labels, outputs in (batch(2), batch(7), batch(7, 30.0), batch(50, 1e4), corners()):
        classes = outputs.shape[-1]
        reference = REFERENCES[name](
            target(name, labels, classes), outputs.astype(float), **options
        )
        close(losses(name, labels, outputs, options=options), reference)
        close(losses(name, labels[:, None], outputs, options=options), reference)
        mean = float(ClassificationLoss(name, options=options)(labels, outputs))
        np.testing.assert_allclose(mean, reference.mean(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OF_DISTRIBUTIONS)
def test_distributions(name):
    """Smoothed and mixed labels; the least loss is where p (or o) is the target."""
    labels, outputs = batch()
    mixed = np.random.default_rng(1).dirichlet(np.full(7, 0.5), 32).astype("float32")
    mixed[:, 3] = 0
    mixed /= mixed.sum(axis=-1, keepdims=True)
    exact = outputs.astype(float)
    close(losses(name, mixed, outputs), REFERENCES[name](mixed.astype(float), exact))
    smoothed = 0.9 * np.eye(7, dtype="float32")[labels] + 0.1 / 7
    expected = REFERENCES[name](smoothed.astype(float), exact)
    close(losses(name, labels, outputs, label_smoothing=0.1), expected)

    answer = smoothed if name in ("l1", "l2") else np.log(smoothed)
    least = losses(name, smoothed, answer)
    away = answer + 0.3 * outputs
    assert np.all(losses(name, smoothed, away) > least)


def test_signs():
    """Several classes at once."""
    _, outputs = batch()
    signs = np.random.default_rng(1).choice([-1.0, 1.0], outputs.shape)
    for name in OF_SIGNS:
        expected = REFERENCES[name](signs, outputs.astype(float))
        close(losses(name, signs.astype("int32"), outputs, signs=True), expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_slopes_are_those_of_differences(name):
    labels, outputs = batch(5, count=8)
    t, step = target(name, labels, 5), 1e-5
    expected = np.zeros(outputs.shape)
    for j in range(5):
        shift = step * np.eye(5)[j]
        ahead, behind = (REFERENCES[name](t, outputs + sign * shift) for sign in (1.0, -1.0))
        expected[:, j] = (ahead - behind) / (2 * step)
    np.testing.assert_allclose(slopes(name, labels, outputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", FORMULAS)
def test_corners_have_finite_slopes(name, dtype):
    labels, outputs = corners()
    rounded = ops.cast(outputs, dtype)
    arguments = {"options": OPTIONS.get(name)}
    assert np.all(np.isfinite(losses(name, labels, rounded, **arguments)))
    found = slopes(name, labels, rounded, **arguments)
    assert np.all(np.isfinite(found))
    assert np.any(found)
    if name in OF_DISTRIBUTIONS:
        same = np.full((2, 3), 1 / 3, "float32")
        answer = same if name in ("l1", "l2") else np.zeros((2, 3), "float32")
        # |x| has a corner at 0, where backends take different slopes between -1 and 1.
        bound = 1.0 if name == "l1" else 1e-6
        assert np.all(np.abs(slopes(name, same, answer)) <= bound)


def test_bfloat16_outputs_lose_nothing_but_their_own_digits():
    labels, outputs = batch()
    rounded = ops.cast(outputs, "bfloat16")
    exact = ops.convert_to_numpy(ops.cast(rounded, "float32")).astype(float)
    for name in FORMULAS:
        close(losses(name, labels, rounded), REFERENCES[name](target(name, labels, 7), exact))


def test_log_is_the_cross_entropy_of_keras():
    labels, outputs = batch()
    stock = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, outputs)
    np.testing.assert_allclose(
        float(ClassificationLoss()(labels, outputs)), float(stock), rtol=1e-6
    )


def test_weights_of_examples_count():
    labels, outputs = batch()
    weights = np.arange(len(labels), dtype="float32")
    loss = ClassificationLoss("chebyshev", reduction=None)
    weighted = ops.convert_to_numpy(loss(labels, outputs, sample_weight=weights))
    np.testing.assert_allclose(weighted, losses("chebyshev", labels, outputs) * weights, rtol=1e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_one_hot_targets_are_class_numbers(name):
    labels, outputs = batch()
    one_hot = np.eye(7, dtype="int32")[labels]
    np.testing.assert_array_equal(losses(name, one_hot, outputs), losses(name, labels, outputs))


@pytest.mark.parametrize("name", FORMULAS)
def test_what_is_no_target_has_no_loss(name):
    """The others of the batch have theirs."""
    _, outputs = batch(3, count=4)
    cases = [([0, 3, -1, 2], [1, 2]), ([[1, 0, 0], [-1, 1, 1], [0, 1, 0], [0, 0, 1]], [1])]
    if name not in OF_DISTRIBUTIONS:
        mixed = [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [1, 1, 0]]
        cases.append((mixed, [1, 3]))
    for targets, wrong in cases:
        missing = np.isnan(losses(name, np.array(targets), outputs))
        assert np.flatnonzero(missing).tolist() == wrong
    if name in OF_SIGNS:
        targets = np.array([[1, -1, -1], [1, 0, 0], [1, 1, -1], [-1, -1, -1]])
        missing = np.isnan(losses(name, targets, outputs, signs=True))
        assert missing.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formula": "hing"}, "loss='hing' must be one of"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1"),
        ({"label_smoothing": 1.01}, "label_smoothing=1.01"),
        ({"formula": "hinge", "label_smoothing": 0.1}, "label_smoothing=0.1 must be 0"),
        ({"options": {"margin": 1.0}}, r"options=\['margin'\]: loss='log'"),
        ({"formula": "focal", "signs": True}, "signs=True: loss='focal'"),
        ({"formula": "focal", "options": {"gamma": "a"}}, "gamma='a' must be a finite number"),
        ({"formula": "hinge", "options": {"margin": np.nan}}, "margin=nan must be a finite number"),
    ],
)
def test_unfit_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassificationLoss(**arguments)


def test_a_single_output_is_no_classifier():
    with pytest.raises(ValueError, match="need at least 2 classes"):
        ClassificationLoss()(np.zeros(4), np.zeros((4, 1), "float32"))


@pytest.mark.parametrize(
    ("arguments", "y", "message"),
    [
        ({}, np.zeros((4, 2)), r"shape \(4, 2\) beside 3 outputs"),
        ({"formula": "hinge", "signs": True}, np.zeros(4), "must be signs"),
        ({"formula": "hinge", "options": {"margin": 0.0}}, np.zeros(4), "margin=0.0"),
        ({"formula": "focal", "options": {"gamma": -1}}, np.zeros(4), "gamma=-1"),
        ({"formula": "sigmoid_focal", "options": {"alpha": 2}}, np.zeros(4), "alpha=2"),
    ],
)
def test_unfit_targets_and_options_are_refused(arguments, y, message):
    with pytest.raises(ValueError, match=message):
        ClassificationLoss(**arguments)(y, np.zeros((4, 3), "float32"))


def test_comes_back_from_its_configuration():
    loss = ClassificationLoss("hinge", options={"margin": 2.0}, signs=True, name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is ClassificationLoss
    assert again.get_config() == loss.get_config()
    smoothed = ClassificationLoss(label_smoothing=0.2)
    again = ClassificationLoss.from_config(smoothed.get_config())
    labels, outputs = batch()
    assert float(again(labels, outputs)) == float(smoothed(labels, outputs))


def test_the_page_of_losses_names_them_all():
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text()
    rows = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    named = [*FORMULAS, *BOX_LOSSES, "smooth_l1", "distribution_focal_loss"]
    assert sorted(rows[: len(named)]) == sorted(named)
