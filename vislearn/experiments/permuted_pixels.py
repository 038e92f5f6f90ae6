"""The same permutation of all images' pixels: nothing to a perceptron, a loss to convolution.

A dense layer knows no neighbours. With the rows of its first weights permuted like the pixels, a
perceptron computes the same numbers, and so does every step of its training: what differs is the
order in which floating-point numbers are added. A convolution looks for patterns of neighbouring
pixels, and after the permutation there are none. Each network is trained twice from the same
weights on the same batches, with Adam and a cosine.
"""

import keras
import numpy as np

import vislearn
from vislearn.experiments.fitting import fit
from vislearn.experiments.harness import Context, experiment
from vislearn.pictures import Panel, chart, image_row

FIRST_STEPS, BATCH = 20, 64


@experiment(
    claim="A fixed permutation of the pixels leaves a perceptron unchanged and hurts a "
    "convolutional network.",
    source="visual learning notes, convolution",
    expected="the perceptron answers alike and ends at the same accuracy; the convolutional "
    "network makes at least twice the mistakes",
    minutes=5,
    quick="The 8x8 digits, and the perceptron alone.",
)
def permuted_pixels(context: Context) -> None:
    data = context.dataset("mnist")
    sets = {split: data.arrays(split) for split in ("train", "test")}
    order = np.random.default_rng(context.seed).permutation(int(np.prod(data.info.image_shape)))
    epochs = 5
    found = {
        name: context.step(name, compare, name, sets, order, epochs, context.seed)
        for name in (("mlp",) if context.quick else ("mlp", "lenet5"))
    }
    before, after = found["mlp"]["differences"]
    context.figure(
        "perceptron: largest difference of the logits before training", before, at_most=1e-5
    )
    context.figure(f"perceptron: the same after {FIRST_STEPS} steps", after, at_most=1e-3)
    in_order, permuted = (found["mlp"][case][-1] for case in ("in order", "permuted"))
    context.figure("perceptron: test accuracy in order", in_order)
    context.figure(
        "perceptron: test accuracy permuted",
        permuted,
        expected=in_order,
        tolerance=0.02 if context.quick else 0.004,
    )
    if not context.quick:
        in_order, permuted = (found["lenet5"][case][-1] for case in ("in order", "permuted"))
        context.figure("LeNet: test accuracy in order", in_order)
        context.figure("LeNet: test accuracy permuted", permuted)
        context.figure(
            "LeNet: mistakes permuted against in order",
            (1 - permuted) / (1 - in_order),
            at_least=2.0,
        )
    numbers = range(1, epochs + 1)
    context.picture(
        "mistakes",
        chart(
            *(
                Panel(
                    title,
                    "epoch",
                    "mistakes",
                    {
                        case: (numbers, 1 - np.array(found[name][case]))
                        for case in ("in order", "permuted")
                    },
                    log="y",
                )
                for name, title in (("mlp", "perceptron"), ("lenet5", "LeNet"))
                if name in found
            )
        ),
        "Mistakes as a share of the test images. The perceptron's are the same but for what "
        "rounding grows to; the convolutional network's are not.",
    )
    shown = [np.flatnonzero(sets["test"]["labels"] == label)[0] for label in range(5)]
    images, names = sets["test"]["images"][shown], data.info.classes[:5]
    rows = dict(zip(names, images, strict=True))
    rows |= zip((f"{name}, permuted" for name in names), permute(images, order), strict=True)
    context.picture("images", image_row(rows, columns=5), "What the networks see.")


def permute(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Images `(n, height, width, channels)` with the pixels of each in another order."""
    return images.reshape(len(images), -1)[:, order].reshape(images.shape)


def compare(name: str, sets: dict, order: np.ndarray, epochs: int, seed: int) -> dict:
    """Trains a network on images in order and permuted.

    Args:
        name: Of the network.
        sets: For `"train"` and `"test"` images and labels.
        order: Where each pixel comes from.
        epochs: How long.
        seed: Of weights and batches, the same for both.

    Returns:
        For `"in order"` and `"permuted"` the test accuracy after each epoch; for a perceptron also
        `"differences"`, the largest between the logits of both before training and after its
        first steps.
    """
    found, logits = {}, []
    for case in ("in order", "permuted"):
        keras.utils.set_random_seed(seed)
        model = vislearn.create_model(name, input_shape=sets["train"]["images"].shape[1:])
        seen = sets
        if case == "permuted":
            seen = {
                split: {**values, "images": permute(values["images"], order)}
                for split, values in sets.items()
            }
            if name == "mlp":
                kernel, bias = model.get_layer("dense1").get_weights()
                model.get_layer("dense1").set_weights([kernel[order], bias])
        if name == "mlp":
            logits.append(first_logits(model, seen))
        curves = fit(model, seen["train"], seen["test"], peak=2e-3, epochs=epochs, batch_size=BATCH)
        found[case] = curves["test_accuracy"]
    if name == "mlp":
        one, two = logits
        found["differences"] = np.abs(one - two).max(axis=(1, 2)).tolist()
    return found


def first_logits(model: keras.Model, sets: dict) -> np.ndarray:
    """`(2, images, classes)`: before training and after a few steps, which are made here.

    Later rounding has grown: two trainings that are equal on paper end with other weights.
    """
    images = sets["test"]["images"][:200].astype("float32")
    before = model.predict_on_batch(images)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    count = FIRST_STEPS * BATCH
    spread = np.random.default_rng(0).permutation(len(sets["train"]["labels"]))[:count]
    batches = (sets["train"][part][spread] for part in ("images", "labels"))
    model.fit(*batches, batch_size=BATCH, shuffle=False, verbose=0)
    return np.stack([before, model.predict_on_batch(images)])
