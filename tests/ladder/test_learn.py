"""Rung: every trainable weight gets a gradient, and a short `fit` learns to read digits."""

import functools

import keras
import numpy as np
import pytest
from rungs import (
    CLASSIFIERS,
    MODELS,
    OTHERS,
    TRAINED,
    TYPICAL,
    each_in_turn,
    example,
    randomise,
    representative,
    step,
    tiny,
    trainer,
)

import vislearn
from vislearn.training.recipes import Recipe

CLASSES = 5
# Accuracy on 225 digits 0 to 4 of other writers; guessing gives 0.2.
BAR = 0.8
TRAINING, TEST = 600, 225
# One step: TensorFlow runs it as it comes, JAX would compile each operation by itself.
EAGERLY = keras.backend.backend() == "tensorflow"


# Trainable weights whose gradient is zero but for rounding, by the end of their path, and why.
WITHOUT_GRADIENT = {
    "_attention/key_beta": "it adds the same to all scores of a query (mvit)",
    "_attention/key/bias": "it adds the same to all scores of a query, which softmax ignores",
    "_tokens_dense2/bias": "it adds the same to all channels, and layer norm subtracts it (mixer)",
    "conv1/bias": "batch norm subtracts it again (batchnorm_cnn)",
    "dense1/bias": "batch norm subtracts it again (batchnorm_cnn)",
    "_project_bn/beta": "the next batch norm subtracts it again, behind a linear 1x1 convolution",
}


@functools.cache
def unmoved(name: str) -> list[str]:
    """The trainable weights that a step of plain descent on random weights leaves as they were."""
    plain = {"momentum": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0, "schedule": "constant"}
    _, built = trainer(name, Recipe(learning_rate=1.0, **plain))
    randomise(built)
    built.run_eagerly = EAGERLY
    variables = built.trainable_variables
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    step(built, name, example(name))
    return [
        variable.path
        for variable, old in zip(variables, before, strict=True)
        if np.array_equal(old, keras.ops.convert_to_numpy(variable))
    ]


@each_in_turn(MODELS, TRAINED)
def test_every_weight_learns(name):
    still = unmoved(representative(name))
    assert [path for path in still if not path.endswith(tuple(WITHOUT_GRADIENT))] == []


@functools.cache
def digits(shape: tuple[int, int, int]):
    """scikit-learn's digits 0 to 4, enlarged to `shape` by repeating pixels, 0..255."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(n_class=CLASSES, return_X_y=True)
    pixels = pixels.reshape(-1, 8, 8, 1) * (255 / 16)
    height, width, channels = shape
    assert height % 8 == 0 and width % 8 == 0, f"the tiny input {shape} is no multiple of 8"
    pixels = pixels.repeat(height // 8, axis=1).repeat(width // 8, axis=2)
    return pixels.repeat(channels, axis=3).astype("float32"), labels


# Epochs, batch size and learning rate; a transformer starts slowly.
FITS = {
    "mvit": (20, 16, 3e-3),
    "swin": (20, 16, 3e-3),
    "vit": (20, 16, 2e-3),
    "performer": (20, 16, 1e-3),
    "mlp": (8, 32, 1e-2),
    "alexnet": (10, 32, 2e-3),
    "vgg": (10, 32, 2e-3),
    "squeezenet": (15, 16, 3e-3),
}
DEFAULT = (6, 32, 5e-3)


@functools.cache
def accuracy(name: str) -> float:
    """The share of the test digits that a tiny network reads right after a short `fit`."""
    keras.utils.set_random_seed(0)
    epochs, batch_size, learning_rate = FITS.get(vislearn.model_info(name).family, DEFAULT)
    model = tiny(name)
    pixels, labels = digits(model.input_shape[1:])
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(pixels[:TRAINING], labels[:TRAINING], batch_size, epochs, verbose=0)
    answers = model.predict(pixels[-TEST:], TEST, verbose=0).argmax(axis=-1)
    return float(np.mean(answers == labels[-TEST:]))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="one step of each network is asked of the other backends: compiling them takes minutes",
)
@each_in_turn(CLASSIFIERS, TYPICAL)
def test_reads_digits(name):
    assert accuracy(representative(name)) >= BAR


STEPS = 40
RATE = 3e-3
# What falls, to which share of its first value, and at which rates. The loss of an autoencoder
# can't fall below the entropy of grey pixels. While two opponents learn, neither loss has to fall,
# so each is watched while the other all but stands still.
FALLS = {
    "vae": [("loss", 0.95, {})],
    "gan": [
        ("discriminator_loss", 0.8, {"learning_rate": 1e-9, "discriminator_rate": RATE / 1e-9}),
        ("generator_loss", 0.8, {"learning_rate": RATE, "discriminator_rate": 1e-9}),
    ],
}


@functools.cache
def losses(name: str, rates: tuple) -> list[dict[str, float]]:
    """The losses of steps on one batch that is shown again and again."""
    options = dict(rates)
    recipe = Recipe(
        optimizer="adam",
        learning_rate=options.pop("learning_rate", RATE),
        schedule="constant",
        weight_decay=0.0,
        clip_norm=1.0,
        objective=options,
    )
    keras.utils.set_random_seed(0)
    _, built = trainer(name, recipe, STEPS)
    return [step(built, name, example(name)) for _ in range(STEPS)]


@each_in_turn(OTHERS, TYPICAL)
def test_the_loss_falls(name):
    for part, share, rates in FALLS.get(vislearn.model_info(name).family, [("loss", 0.8, {})]):
        values = [row[part] for row in losses(representative(name), tuple(rates.items()))]
        assert np.all(np.isfinite(values))
        # Some draw noise at each step, so that a single value says little.
        assert np.mean(values[-5:]) < share * np.mean(values[:5])
