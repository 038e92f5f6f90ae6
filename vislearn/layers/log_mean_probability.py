"""The logarithm of averaged probabilities: how an ensemble of classifiers votes."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class LogMeanProbability(keras.layers.Layer):
    """log(mean of softmax(logits)) over several logits, as logits of the mean distribution.

    Softmax of the result gives the mean distribution back, so that what decodes logits decodes an
    ensemble too. In logarithms throughout: a probability that underflows in one network is not lost
    in the mean. In float32 whatever the precision of the inputs.

    Input shape: a list of `(batch, classes)`.
    Output shape: `(batch, classes)` float32.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        logs = ops.stack(
            [ops.log_softmax(logits) for logits in inputs]
        )  # (members, batch, classes)
        return ops.logsumexp(logs, axis=0) - math.log(len(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
