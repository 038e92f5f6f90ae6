"""Memorising is not recovering: units of three kinds on samples of a band-limited signal.

A layer of M units with fixed places and widths, the weights behind it by least squares, on N
samples at distance 1. With M >= N any kind reaches the samples exactly. Between the samples only
sinc units give the signal back, since it is band-limited at half the sampling rate (Shannon 1949),
and the N sincs at the samples span just these signals.
"""

import numpy as np

from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart

SAMPLES = 32
UNITS = (8, 16, 24, 32, 48, 64)
KINDS = {
    "sinc": lambda x: np.sinc(x),
    "tanh": lambda x: np.tanh(2 * x),
    "relu": lambda x: np.maximum(x, 0),
}
BEFORE = {"sinc": 0, "tanh": 0.5, "relu": 1}


@experiment(
    claim="M units of any kind memorise N samples once M >= N; only sinc units recover the "
    "band-limited signal between them.",
    source="Visual learning notes, sampling; Shannon, Communication in the Presence of Noise, 1949",
    expected="training error 0 from 32 units on; test error 0 for sinc alone",
    minutes=0.02,
    quick="The same as the full run.",
)
def sampling_1d(context: Context) -> None:
    nodes = np.arange(SAMPLES)
    weights = context.random.normal(size=SAMPLES)
    fine = np.linspace(2, SAMPLES - 3, 1000)

    def signal(x):
        return np.sinc(x[:, None] - nodes) @ weights

    scale = np.sqrt(np.mean(signal(fine) ** 2))
    training, testing = {}, {}
    for kind in KINDS:
        errors = []
        for count in UNITS:
            design, places = features(kind, nodes, count), features(kind, fine, count)
            outer = np.linalg.lstsq(design, signal(nodes.astype(float)), rcond=1e-12)[0]
            errors.append(
                [
                    np.sqrt(np.mean((matrix @ outer - signal(x.astype(float))) ** 2)) / scale
                    for matrix, x in ((design, nodes), (places, fine))
                ]
            )
        training[kind], testing[kind] = np.transpose(errors)
        half, full = UNITS.index(SAMPLES // 2), UNITS.index(SAMPLES)
        context.figure(f"{kind}, 16 units: training error", training[kind][half], at_least=0.1)
        context.figure(f"{kind}, 32 units: training error", training[kind][full], at_most=1e-6)
        bound = {"at_most": 1e-6} if kind == "sinc" else {"at_least": 0.05}
        context.figure(f"{kind}, 32 units: test error", testing[kind][full], **bound)
    context.note("Errors are root mean squares as shares of the signal's.")
    floor = 1e-16  # Where an error is exactly 0, on a logarithmic axis.
    context.picture(
        "errors",
        chart(
            *(
                Panel(
                    title,
                    "units",
                    "relative error",
                    {kind: (UNITS, errors[kind] + floor) for kind in KINDS},
                    log="y",
                )
                for title, errors in (("at the samples", training), ("between them", testing))
            )
        ),
        "From 32 units on each kind goes through all 32 samples; between them only sinc is right. "
        "With more sincs than samples there are many solutions; the smallest is a little off.",
    )


def features(kind: str, x: np.ndarray, count: int) -> np.ndarray:
    """What `count` units, at even distances over the samples, answer at x: `(len(x), count)`."""
    if count <= SAMPLES:
        centres = np.linspace(0, SAMPLES - 1, count)
    else:  # The samples' own places first, so that more units span no less.
        between = np.linspace(0.5, SAMPLES - 1.5, count - SAMPLES)
        centres = np.concatenate([np.arange(SAMPLES), between])
    # A step and a ramp that begin at the last sample would never be seen: they begin before.
    return KINDS[kind](x[:, None] - (centres - BEFORE[kind]))
