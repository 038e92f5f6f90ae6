"""How sure a network is, by dropout in inference (Gal and Ghahramani 2016, arXiv:1506.02142).

A network that was trained with dropout is asked several times with dropout on; each answer is one
of a network that is drawn from an approximate posterior, and their spread is what the weights leave
open.
"""

import dataclasses

import keras
import numpy as np

from vislearn import backend
from vislearn.layers import DropConnect, StochasticDepth

DROPOUTS = (
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.AlphaDropout,
    StochasticDepth,
    DropConnect,
)


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """What several answers to each image say together.

    Attributes:
        mean: The predictive mean, `(images, outputs)`.
        deviation: Standard deviation of the answers, `(images, outputs)`.
        entropy: Entropy of the predictive mean in nats, `(images,)`: all doubt, also that which
            lies in the image. None where answers are no distributions.
        mutual_information: Of answer and weights, in nats, `(images,)`: that entropy less the mean
            entropy of the answers (Houlsby et al. 2011, arXiv:1112.5745, equation 2). It is the
            doubt that more training images could settle. None as `entropy`.
    """

    mean: np.ndarray
    deviation: np.ndarray
    entropy: np.ndarray | None
    mutual_information: np.ndarray | None


def dropout_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model that drop something while training."""
    return [layer for layer in model.layers if isinstance(layer, DROPOUTS) and layer.rate]


def with_dropout_on(model: keras.Model) -> keras.Model:
    """A model on the same layers in which dropout stays on.

    Everything else is in inference, batch normalisation above all. It has to be called without
    `training`, which would rule over this, and so not by `predict`.

    Args:
        model: A functional model.

    Raises:
        ValueError: If it has no dropout.
    """
    dropouts = dropout_layers(model)
    if not dropouts:
        raise ValueError(
            f"{model.name} has no dropout, and gives one answer only: train it with a rate, such "
            "as --option dropout=0.1 or drop_path_rate=0.1."
        )

    def call(layer, *args, **kwargs):
        if layer in dropouts:
            kwargs["training"] = True
        return layer(*args, **kwargs)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def monte_carlo(
    model: keras.Model,
    images,
    samples: int = 30,
    seed: int = 0,
    *,
    activation: str | None = "softmax",
    batch_size: int = 64,
) -> Uncertainty:
    """Asks a network several times with dropout on; no training is needed, and none is changed.

    Args:
        model: A functional model with dropout of a rate above 0, and one output `(batch, outputs)`.
        images: Pixels 0..255, `(n, height, width, channels)`.
        samples: Answers to each image.
        seed: Seed of the dropout; the same seed gives the same answers on one machine.
        activation: What makes answers of outputs: `"softmax"` of logits; None where outputs are the
            answers, as in regression.
        batch_size: Images at a time.

    Raises:
        ValueError: If the model has no dropout, or an argument is out of range.
    """
    if samples < 2:
        raise ValueError(f"samples={samples!r} must be at least 2: one answer has no spread.")
    if activation not in ("softmax", None):
        raise ValueError(f"activation={activation!r} must be 'softmax' or None.")
    noisy = with_dropout_on(model)
    generators = [layer.seed_generator.state for layer in dropout_layers(model)]
    ids = {id(state) for state in generators}
    others = [variable for variable in noisy.variables if id(variable) not in ids]

    def answer(weights, states, batch):
        outputs, (_, states) = backend.run_stateless(
            lambda: noisy(batch), (others, generators), (weights, states)
        )
        outputs = keras.ops.cast(outputs, "float32")
        return keras.ops.softmax(outputs) if activation else outputs, states

    answer = backend.compiled(answer)
    starts = np.random.SeedSequence(seed).generate_state(len(generators)) >> 1  # Of 31 bits.
    weights = [keras.ops.convert_to_tensor(variable) for variable in others]
    states = [
        keras.ops.convert_to_tensor(np.array([start, 0]), dtype=state.dtype)
        for start, state in zip(starts, generators, strict=True)
    ]
    found = []
    for start in range(0, len(images), batch_size):
        batch = keras.ops.convert_to_tensor(images[start : start + batch_size], dtype="float32")
        total = squares = 0.0
        entropies = np.zeros(len(batch))
        for _ in range(samples):
            answers, states = answer(weights, states, batch)
            one = keras.ops.convert_to_numpy(answers).astype(np.float64)
            total, squares = total + one, squares + one**2
            if activation:
                entropies += _entropy(one)
        mean = total / samples
        deviation = np.sqrt(np.maximum(squares / samples - mean**2, 0))
        found.append((mean, deviation, entropies / samples))
    mean, deviation, expected = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not activation:
        return Uncertainty(mean, deviation, None, None)
    entropy = _entropy(mean)
    return Uncertainty(mean, deviation, entropy, entropy - expected)


def _entropy(p: np.ndarray) -> np.ndarray:
    """The entropy of distributions `(n, classes)` in nats, `(n,)`."""
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)
