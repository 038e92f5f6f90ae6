"""Trains a small network on some devices in a process of its own, and stores losses and weights.

python small_replicas.py OUT DEVICES [HOST:PORT INDEX COUNT]
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from vislearn.layers import BatchNormalization
from vislearn.training import distribution

out, devices, *place = sys.argv[1:]
hosts = distribution.Hosts(place[0], int(place[1]), int(place[2])) if place else None
keras.config.set_floatx("float64")  # So that a difference is no rounding that has grown.
distribution.start(int(devices), hosts)
replicas = distribution.Replicas(int(devices))

rng = np.random.default_rng(0)
x = rng.normal(size=(145, 6, 6, 3))
y = rng.integers(0, 4, len(x)).astype("int32")
data = tf.data.Dataset.from_tensor_slices((x, y))
# The last validation batch has one image, which nothing can divide.
train, validation = (data.take(120).batch(12, True), data.skip(120).batch(12))

with replicas.together(), replicas.scope():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    h = BatchNormalization()(keras.layers.Conv2D(8, 3)(inputs))
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation("relu")(h))
    network = keras.Model(inputs, keras.layers.Dense(4)(h))
    network.compile(
        # Gradients of this network have norms of about 1.
        keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-3, global_clipnorm=0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    replicas.prepare(network, network)
    history = network.fit(
        replicas.part_of(train),
        validation_data=validation,
        epochs=3,
        callbacks=replicas.callbacks(),
        verbose=0,
    )
    weights = {f"weight{i}": np.asarray(value) for i, value in enumerate(network.weights)}
np.savez(out, **weights, **history.history)
