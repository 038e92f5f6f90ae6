"""The one place that knows TensorFlow from JAX."""

import contextlib
import os

import keras

FLOAT32 = "float32"
BFLOAT16 = "mixed_bfloat16"


def is_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow."""
    return keras.backend.backend() == "tensorflow"


@contextlib.contextmanager
def precision(policy: str):
    """Builds what is built inside under a dtype policy, then restores the one before.

    Args:
        policy: `"float32"` or `"mixed_bfloat16"` (bfloat16 arithmetic, float32 weights).

    Raises:
        ValueError: If the policy is neither.
    """
    if policy not in (FLOAT32, BFLOAT16):
        raise ValueError(f"precision={policy!r} must be {FLOAT32!r} or {BFLOAT16!r}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def make_deterministic(seed: int) -> None:
    """Seeds Python, NumPy and Keras, and asks the backend for operations that repeat exactly."""
    keras.utils.set_random_seed(seed)
    if is_tensorflow():
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def describe() -> str:
    """Backend and devices in a line, for logs and reports."""
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        devices = [device.device_type for device in tf.config.list_physical_devices()]
        return f"tensorflow {tf.__version__} on {', '.join(devices)}, {os.cpu_count()} CPU cores"
    import jax

    return f"jax {jax.__version__} on {jax.devices()[0].device_kind}, {os.cpu_count()} CPU cores"


def compiled(function):
    """The function as one graph: `tf.function` (traced anew for a new shape) or `jax.jit`.

    Args:
        function: From tensors, or dictionaries of them, to the same; without side effects.
    """
    if is_tensorflow():
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    import jax

    return jax.jit(function)


def under_xla() -> bool:
    """Whether TensorFlow is tracing a function that XLA will compile."""
    import tensorflow as tf

    return tf.__internal__.get_enclosing_xla_context() is not None


def fused_batch_norm(x, gamma, beta, epsilon: float):
    """Batch normalisation by the statistics of the batch, in TensorFlow's one fused kernel.

    Args:
        x: `(batch, height, width, channels)`, float32, bfloat16 or float16.
        gamma, beta: `(channels,)`, float32.
        epsilon: Added to the variance.

    Returns:
        The normalised tensor in the type of `x`, and the float32 mean and variance of the batch
        `(channels,)`. The variance is the biased one, as in Keras; the kernel returns the
        unbiased one.
    """
    import tensorflow as tf

    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(x, tf.int64) // tf.size(mean, tf.int64), tf.float32)
    return y, mean, variance * (tf.maximum(count - 1.0, 1.0) / count)
