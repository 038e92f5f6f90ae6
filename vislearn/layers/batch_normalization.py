"""Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) in TensorFlow's fused kernel."""

import keras
from keras import ops

from vislearn import backend


@keras.saving.register_keras_serializable("vislearn")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, but faster to train on TensorFlow.

    Same arguments, weights, configuration and results. Keras computes moments, scale and shift as
    separate operations that each walk over the activations; here the training step on the
    TensorFlow backend runs them as one kernel (see `benchmarks/train_step.py`). In inference, on
    other backends, and for what the kernel does not do (masks, other axes than the last, ranks
    other than 4, renormalisation, statistics shared between devices) it is Keras's layer.

    Since the configuration is the same, a saved model also loads where vislearn is not installed:
    `keras.saving.load_model(path, custom_objects={"vislearn>BatchNormalization":
    keras.layers.BatchNormalization})`.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and self._fusable(inputs, mask)):
            return super().call(inputs, training=training, mask=mask)
        inputs = ops.cast(inputs, self.compute_dtype)
        channels = inputs.shape[-1]
        gamma = self.gamma if self.scale else ops.ones((channels,), "float32")
        beta = self.beta if self.center else ops.zeros((channels,), "float32")
        outputs, mean, variance = backend.fused_batch_norm(inputs, gamma, beta, self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def _fusable(self, inputs, mask) -> bool:
        return (
            backend.is_tensorflow()
            and mask is None
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.compute_dtype in ("float32", "bfloat16")
            and not self.renorm
            and not self.synchronized
        )
