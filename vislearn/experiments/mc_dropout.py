"""Dropout in inference: the answers spread where there was no data.

A line is fitted to points in two stretches by a network with dropout, which is then asked along the
whole axis, a hundred times. With ReLU the spread grows with the distance from the data; with tanh,
which saturates, it hardly does: the paper shows both. Then a network that has learned digits with
dropout is asked about digits that are turned step by step (the paper turns a 1), and about digits
whose pixels are shuffled. What grows is measured as the mutual information of answer and weights,
the doubt that more data could settle, and not as the entropy, which may lie in the image.
"""

import keras
import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart
from vislearn.pictures.style import INK, RIGHT, TINTS, new_figure, style
from vislearn.training import Uncertainty, monte_carlo

STRETCHES = ((-2.0, -0.5), (0.5, 2.0))
AXIS = np.linspace(-6, 6, 241, dtype="float32")
ANGLES = (0, 15, 30, 45, 60, 75, 90)


@experiment(
    claim="The uncertainty of dropout in inference grows away from the data.",
    source="Gal and Ghahramani, ICML 2016, arXiv:1506.02142, Figures 2 and 4; CS909 notes",
    expected="with ReLU a spread that grows with the distance from the data, with tanh one that "
    "stays; more doubt about digits that are turned",
    minutes=3,
    quick="The line alone.",
)
def mc_dropout(context: Context) -> None:
    x, y = samples(context.random)
    steps = 300 if context.quick else 1000
    answers = {name: fit(x, y, name, steps) for name in ("relu", "tanh")}
    inside = np.any([np.clip(AXIS, *stretch) == AXIS for stretch in STRETCHES], axis=0)
    for name, found in answers.items():
        spread = found.deviation[:, 0]
        far, near = (spread[np.isclose(np.abs(AXIS), place)].mean() for place in (6, 3))
        grows = name == "relu"
        context.figure(
            f"{name}: spread at 6 over that within the data",
            far / spread[inside].mean(),
            at_least=3 if grows else None,
        )
        context.figure(
            f"{name}: spread at 6 over that at 3",
            far / near,
            at_least=1.5 if grows else None,
            at_most=None if grows else 1.2,
        )
    context.picture(
        "line",
        draw(answers, x, y),
        "The mean of a hundred answers, and two standard deviations to each side.",
    )
    if not context.quick:
        _turn_digits(context)


def _turn_digits(context: Context) -> None:
    """Asks about digits that are turned, and about digits whose pixels are shuffled."""
    run = context.train(
        "digits",
        "mlp",
        data="mnist",
        options={"dropout": 0.5, "units": [512, 512]},
        epochs=8,
        augment="none",
    )
    context.figure("digits: test accuracy", run.metrics()["test"]["accuracy"], at_least=0.97)
    images = run.data().arrays("test", limit=1000)["images"]
    shuffled = context.random.permuted(images.reshape(len(images), -1), axis=1)
    asked = [*(turned(images, angle) for angle in ANGLES), shuffled.reshape(images.shape)]
    model = run.model()
    found = [
        monte_carlo(model, pictures, samples=50, seed=context.seed)
        for pictures in context.track(asked, "asking")
    ]
    doubts = [answer.mutual_information.mean() for answer in found]
    entropies = [answer.entropy.mean() for answer in found]
    context.figure("upright digits: mutual information, nats", doubts[0])
    names = [*(f"turned by {angle} degrees" for angle in ANGLES[1:]), "shuffled"]
    for name, doubt in zip(names, doubts[1:], strict=True):
        context.figure(
            f"digits {name}: mutual information over that of upright ones",
            doubt / doubts[0],
            at_least=2 if name in ("turned by 45 degrees", "shuffled") else None,
        )
    lines = {
        "entropy": (ANGLES, entropies[:-1]),
        "mutual information": (ANGLES, doubts[:-1]),
    }
    context.picture(
        "turned",
        chart(Panel("doubt about turned digits", "degrees", "nats", lines), height=3.2),
        "All doubt (entropy), and that which more data could settle (mutual information).",
    )


def samples(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """200 noisy values of a sine, in two stretches."""
    x = np.concatenate([random.uniform(low, high, 100) for low, high in STRETCHES])
    return x.astype("float32"), (np.sin(2 * x) + random.normal(0, 0.1, len(x))).astype("float32")


def fit(x, y, activation: str, steps: int) -> Uncertainty:
    """Trains a network with dropout, and asks it along the axis."""
    inputs = keras.Input((1,))
    hidden = inputs
    for _ in range(2):
        hidden = keras.layers.Dense(128, activation, kernel_initializer="he_normal")(hidden)
        hidden = keras.layers.Dropout(0.1)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    rate = keras.optimizers.schedules.CosineDecay(0.01, steps)
    model.compile(keras.optimizers.Adam(rate), "mse", jit_compile=False)
    model.fit(
        np.tile(x, steps)[:, None], np.tile(y, steps), batch_size=len(x), shuffle=False, verbose=0
    )
    return monte_carlo(model, AXIS[:, None], samples=100, activation=None, batch_size=len(AXIS))


def turned(images: np.ndarray, angle: float) -> np.ndarray:
    """Grey images `(n, height, width, 1)`, turned about their centres."""
    from PIL import Image

    return np.stack(
        [
            np.asarray(Image.fromarray(image[..., 0]).rotate(angle, Image.Resampling.BILINEAR))
            for image in images
        ]
    )[..., None]


def draw(answers, x, y):
    with style():
        figure = new_figure(3.4 * len(answers), 2.8)
        for axes, (name, found) in zip(
            figure.subplots(1, len(answers), sharey=True), answers.items(), strict=True
        ):
            mean, spread = found.mean[:, 0], found.deviation[:, 0]
            axes.fill_between(AXIS, mean - 2 * spread, mean + 2 * spread, color=TINTS[RIGHT])
            axes.plot(AXIS, mean, color=RIGHT)
            axes.plot(x, y, "o", color=INK, markersize=2)
            axes.set(title=name, xlabel="x", ylim=(-4, 4))
        figure.tight_layout(w_pad=2)
    return figure
