"""Trains a network on some devices in a process of its own, and stores losses and weights.

python replicas.py OUT NETWORK DATA DEVICES [HOST:PORT INDEX COUNT]

NETWORK is `small`, `pixels` (a segmenter, whose loss is no mean of the images'), or a registry
name that is then trained for an epoch a batch; DATA an `.npz` file with the arrays `x` and `y`.
Everything in float64, so that a difference is no rounding that has grown.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import dtypes

import vislearn
from vislearn.layers import BatchNormalization
from vislearn.losses import SegmentationLoss
from vislearn.training import distribution


def small() -> keras.Model:
    """A convolution with batch normalisation."""
    inputs = keras.Input((6, 6, 3))
    h = BatchNormalization()(keras.layers.Conv2D(8, 3)(inputs))
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation("relu")(h))
    return keras.Model(inputs, keras.layers.Dense(4)(h))


def pixels() -> keras.Model:
    """A convolution that answers for each pixel."""
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, keras.layers.Conv2D(4, 3, padding="same")(inputs))


def classifier(name: str) -> keras.Model:
    """A network of the registry with a head in float64: its own stays in float32."""
    network = vislearn.create_model(name, num_classes=0)
    return keras.Model(network.input, keras.layers.Dense(10)(network.output))


def main(out: str, name: str, file: str, devices: str, *place: str) -> None:
    hosts = distribution.Hosts(place[0], int(place[1]), int(place[2])) if place else None
    keras.config.set_floatx("float64")
    # On JAX Keras takes 32 bits wherever it looks for a common type, as in batch normalisation.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    distribution.start(int(devices), hosts)
    replicas = distribution.Replicas(int(devices))
    with np.load(file) as arrays:
        data = tf.data.Dataset.from_tensor_slices((arrays["x"], arrays["y"]))
    if name in SMALL:
        # The last validation batch has one image, which nothing can divide.
        train, validation = data.take(120).batch(12, True), data.skip(120).batch(12)
        fit = {"x": train, "validation_data": validation, "epochs": 3}
    else:
        train = data.batch(BATCH, True)
        fit = {"x": train.repeat(), "epochs": len(train), "steps_per_epoch": 1}

    with replicas.together(), replicas.scope():
        keras.utils.set_random_seed(0)
        network = SMALL[name]() if name in SMALL else classifier(name)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(
            # Gradients of the small network have norms of about 1.
            keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-3, global_clipnorm=0.1),
            SegmentationLoss(jaccard=0.5) if name == "pixels" else loss,
            metrics=[] if name == "pixels" else ["accuracy"],
        )
        replicas.prepare(network, network)
        fit["x"] = replicas.part_of(fit["x"])
        history = network.fit(**fit, callbacks=replicas.callbacks(), verbose=0)
        weights = {f"weight{i}": np.asarray(value) for i, value in enumerate(network.weights)}
    np.savez(out, **weights, **history.history)


BATCH = 16
SMALL = {"small": small, "pixels": pixels}

if __name__ == "__main__":
    main(*sys.argv[1:])
