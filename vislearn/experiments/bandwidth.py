"""The bandwidth of the units decides between under-fitting and over-fitting.

Twice as many sinc units as samples, of bandwidth B, fitted to noisy samples of a signal of
bandwidth 1 that is sampled four times as often as it needs. Too narrow a band can't follow the
signal; too wide a one follows the noise through every sample and falls to zero between them.
"""

import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

SAMPLES, OVERSAMPLING, NOISE = 64, 4, 0.1
BANDWIDTHS = np.geomspace(0.125, 16, 22)


@experiment(
    claim="Too much bandwidth overfits, balanced bandwidth generalises.",
    source="Visual learning notes, bandwidth",
    expected="least test error near the signal's bandwidth; training error 0 beyond it",
    minutes=0.02,
    quick="The same as the full run.",
)
def bandwidth(context: Context) -> None:
    x = np.arange(SAMPLES) / OVERSAMPLING
    fine = np.linspace(x[4], x[-5], 1000)
    knots = np.arange(SAMPLES // OVERSAMPLING)
    weights = context.random.normal(size=len(knots))

    def signal(at):
        return np.sinc(at[:, None] - knots) @ weights

    scale = np.sqrt(np.mean(signal(fine) ** 2))
    noisy = signal(x) + NOISE * scale * context.random.normal(size=SAMPLES)
    centres = np.linspace(x[0] - 1, x[-1] + 1, 2 * SAMPLES)

    def fit(band):
        outer = np.linalg.lstsq(np.sinc(band * (x[:, None] - centres)), noisy, rcond=1e-3)[0]
        return lambda at: np.sinc(band * (at[:, None] - centres)) @ outer

    fits = [fit(band) for band in BANDWIDTHS]
    training = [np.sqrt(np.mean((f(x) - noisy) ** 2)) / scale for f in fits]
    testing = [np.sqrt(np.mean((f(fine) - signal(fine)) ** 2)) / scale for f in fits]
    best = int(np.argmin(testing))
    context.figure("bandwidth of the least test error", BANDWIDTHS[best], at_least=0.7, at_most=2)
    context.figure("least test error", testing[best], at_most=NOISE)
    context.figure("test error at bandwidth 1/8", testing[0], at_least=5 * testing[best])
    context.figure("training error at bandwidth 16", training[-1], at_most=0.01)
    context.figure("test error at bandwidth 16", testing[-1], at_least=5 * testing[best])
    shown = {f"bandwidth {BANDWIDTHS[i]:.2g}": (fine, fits[i](fine)) for i in (-1, 0, best)}
    context.picture(
        "fits",
        chart(
            Panel(
                "errors",
                "bandwidth",
                "relative error",
                {"training": (BANDWIDTHS, training), "test": (BANDWIDTHS, testing)},
                log="x",
            ),
            Panel("fits", "x", "", shown, {"samples": (x, noisy)}, limits=(-4, 4)),
        ),
        "Left: the error at the noisy samples and the error against the true signal. Right: three "
        "of the fits.",
    )
