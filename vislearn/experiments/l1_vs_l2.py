"""L1 makes weights sparse, L2 makes them small.

The registered `linear_classifier` with `vislearn.training.penalties`, once without a penalty, once
with L1 and once with L2, each strong enough to show and weak enough to keep the accuracy. The force
of L1 does not fall as a weight does, and brings it to zero; that of L2 does. Adam with a rate that
falls to nothing lets weights settle; one that is below a thousandth of the largest counts as zero.
Weights of pixels that never change are left out: nothing but the penalty acts on them.
"""

import keras
import numpy as np

import vislearn
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart
from vislearn.training.penalties import penalize

PENALTIES = {"none": {}, "L1": {"l1": 1e-3}, "L2": {"l2": 1e-3}}


@experiment(
    claim="An L1 penalty gives sparser weights than L2, at nearly the same accuracy.",
    source="CS163 notes, regularisation; Tibshirani 1996",
    expected="most weights zero with L1, hardly any with L2",
    minutes=1.5,
    quick="The 8x8 digits, and not without a penalty.",
)
def l1_vs_l2(context: Context) -> None:
    data = context.dataset("mnist")
    found = {
        name: context.step(name.lower(), train, data, options, context.quick)
        for name, options in PENALTIES.items()
        if options or not context.quick
    }
    zeros = {}
    for name, result in found.items():
        weights = np.abs(result["weights"])
        zeros[name] = float(np.mean(weights < 1e-3 * weights.max()))
        context.figure(f"{name}: test accuracy", result["accuracy"])
        context.figure(f"{name}: share of weights that are zero", zeros[name])
    context.figure("share of zeros, L1 less L2", zeros["L1"] - zeros["L2"], at_least=0.3)
    context.figure(
        "test accuracy, L1 less L2",
        found["L1"]["accuracy"] - found["L2"]["accuracy"],
        at_least=-0.02,
    )
    lines = {}
    for name, result in found.items():
        sizes = np.sort(np.abs(result["weights"]).ravel())
        lines[name] = np.linspace(0, 1, len(sizes)), sizes / sizes.max() + 1e-6
    context.picture(
        "sizes",
        chart(
            Panel(
                "weights in order of size", "share of the weights", "size / largest", lines, log="y"
            ),
            height=3,
        ),
        "With L1 most weights are a thousandth of the largest or less; with L2 merely small.",
    )


def train(data, penalty: dict[str, float], quick: bool) -> dict:
    """Weights and test accuracy of a linear classifier with a penalty."""
    keras.utils.set_random_seed(0)  # The same start for all.
    model = vislearn.create_model("linear_classifier", input_shape=data.info.image_shape)
    if penalty:
        penalize(model, **penalty)
    arrays, test = data.arrays("train"), data.arrays("test")
    epochs, batch = (20, 128) if quick else (10, 128)
    steps = epochs * -(-len(arrays["labels"]) // batch)
    rate = keras.optimizers.schedules.CosineDecay(0.03 if quick else 0.01, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(arrays["images"], arrays["labels"], batch_size=batch, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(test["images"], test["labels"], batch_size=500, verbose=0)
    alive = arrays["images"].reshape(len(arrays["images"]), -1).std(axis=0) > 0
    return {"weights": model.get_weights()[0][alive].tolist(), "accuracy": accuracy}
