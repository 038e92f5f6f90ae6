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
    other backends, under XLA, and for what the kernel does not do (masks, other axes than the last,
    ranks other than 4, other types than float32 and bfloat16, renormalisation, statistics shared
    between devices) it is Keras's layer.

    Since the configuration is the same, a saved model also loads where vislearn is not installed:
    `keras.saving.load_model(path, custom_objects={"vislearn>BatchNormalization":
    keras.layers.BatchNormalization})`.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and self._fusable(inputs, mask)):
            return super().call(inputs, training=training, mask=mask)
        channels = (inputs.shape[-1],)
        gamma = ops.cast(self.gamma, "float32") if self.scale else ops.ones(channels, "float32")
        beta = ops.cast(self.beta, "float32") if self.center else ops.zeros(channels, "float32")
        outputs, mean, variance = backend.fused_batch_norm(inputs, gamma, beta, self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            before = ops.cast(moving, "float32")
            moving.assign(before * self.momentum + batch * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def _fusable(self, inputs, mask) -> bool:
        return (
            backend.is_tensorflow()
            and mask is None
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16")
            and not self.renorm
            and not self.synchronized
            # XLA fuses Keras's operations itself, and takes the variance of this kernel as the mean
            # of the squares less the square of the mean: 100 +- 0.1 in float32 then gives NaN.
            and not backend.under_xla()
        )
