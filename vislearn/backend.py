"""The one place that knows TensorFlow from JAX."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from vislearn.cores import usable_cores

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
        return f"tensorflow {tf.__version__} on {', '.join(devices)}, {usable_cores()} CPU cores"
    import jax

    return f"jax {jax.__version__} on {jax.devices()[0].device_kind}, {usable_cores()} CPU cores"


def divide_cpu(count: int) -> None:
    """Makes several logical devices of the CPU; before the backend has computed anything.

    Accelerators, where there are any, are what is trained on, and stay as they are.
    """
    if not is_tensorflow():
        import jax

        jax.config.update("jax_num_cpu_devices", count)
        return
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    )


def device_names() -> list[str]:
    """The devices of this host to train on: its accelerators, else the logical ones of its CPU."""
    if not is_tensorflow():
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.local_devices()]
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


def host_place() -> tuple[int, int]:
    """Number of this host, from 0, and how many there are."""
    if is_tensorflow():
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def devices_of_hosts(count: int) -> list[str]:
    """The first `count` devices of each host on JAX, host after host, by their names."""
    import jax

    return [
        f"{device.platform}:{device.id}"
        for host in range(jax.process_count())
        for device in [one for one in jax.devices() if one.process_index == host][:count]
    ]


def mirrored(devices: Sequence[str]):
    """TensorFlow's strategy with a copy of the weights on each device."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def is_mirrored() -> bool:
    """Whether what is built here gets a copy on each of several devices of TensorFlow."""
    if not is_tensorflow():
        return False
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def sum_before_clipping(optimizer) -> None:
    """Sums gradients over TensorFlow's replicas before the optimiser sees them.

    Keras sums them behind the clipping, so that each replica would clip its part by itself.
    """
    apply, total = optimizer.apply, optimizer._all_reduce_sum_gradients

    def apply_sums(gradients, variables=None):
        variables = optimizer._trainable_variables if variables is None else list(variables)
        return apply([sums for sums, _ in total(zip(gradients, variables, strict=True))], variables)

    optimizer.apply = apply_sums
    optimizer._all_reduce_sum_gradients = list


def sum_over_replicas(value):
    """The sum of a tensor over TensorFlow's replicas; elsewhere the tensor is of the whole batch.

    Gradients pass through it to every replica.
    """
    if not is_mirrored():
        return value
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    # Keras also asks for shapes outside of any replica.
    return value if replica is None else replica.all_reduce(tf.distribute.ReduceOp.SUM, value)


def convolves_in_groups() -> bool:
    """Whether a grouped convolution is one fast operation here, its gradient included."""
    if is_tensorflow():
        return False
    import jax

    return jax.default_backend() != "cpu"


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


def value_and_gradients(
    function: Callable[[], Any], variables: Sequence, state: Sequence
) -> tuple[Any, list]:
    """A scalar and its derivatives, for training steps that Keras has not.

    Args:
        function: Without arguments, to a scalar. It may assign to variables of `state`: batch-norm
            statistics, states of random generators.
        variables: Keras variables to differentiate by.
        state: All Keras variables that the function reads or assigns; may hold `variables`, too.

    Returns:
        The scalar and the gradients, in the order of `variables`.
    """
    if is_tensorflow():
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = function()
        return value, tape.gradient(value, [variable.value for variable in variables])
    import jax

    chosen = {id(variable) for variable in variables}
    others = [variable for variable in state if id(variable) not in chosen]

    def pure(values, other_values):
        value, (_, after) = run_stateless(function, (variables, others), (values, other_values))
        return value, after

    # jax.grad sees no assignment, so what the function assigned comes back beside the value.
    (value, after), gradients = jax.value_and_grad(pure, has_aux=True)(
        [variable.value for variable in variables], [variable.value for variable in others]
    )
    for variable, new in zip(others, after, strict=True):
        variable.assign(new)
    return value, gradients


def input_gradient(function: Callable[[Any], Any], x, state: Sequence):
    """The gradient of the sum of `function(x)` with respect to `x`, itself differentiable.

    Args:
        function: From a tensor to a tensor. It may assign to variables of `state`.
        x: Where to take the gradient.
        state: All Keras variables that the function reads or assigns.

    Returns:
        A tensor of the shape of `x`.
    """
    if is_tensorflow():
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            total = keras.ops.sum(function(x))
        return tape.gradient(total, x)
    import jax

    values = [variable.value for variable in state]

    def pure(x):
        value, (after,) = run_stateless(lambda: keras.ops.sum(function(x)), (state,), (values,))
        return value, after

    gradient, after = jax.grad(pure, has_aux=True)(x)
    for variable, new in zip(state, after, strict=True):
        variable.assign(new)
    return gradient


def run_stateless(
    function: Callable[[], Any], groups: Sequence[Sequence], values: Sequence[Sequence]
) -> tuple[Any, tuple[list, ...]]:
    """Calls a function with other values in its variables, which stay as they are.

    It is how Keras's steps on JAX, which get state and return state, run code that assigns.

    Args:
        function: Without arguments.
        groups: Lists of all Keras variables that the function reads or assigns.
        values: Their values inside, in lists alike.

    Returns:
        What the function returned, and the values after it, in lists alike.
    """
    mapping = [
        pair
        for variables, tensors in zip(groups, values, strict=True)
        for pair in zip(variables, tensors, strict=True)
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        result = function()
    after = tuple([scope.get_current_value(variable) for variable in group] for group in groups)
    return result, after


def run_if(condition, function: Callable[[], Any], state: Sequence) -> None:
    """Calls a function that assigns to variables, if a scalar tensor says so.

    Args:
        condition: A boolean scalar.
        function: Without arguments and result.
        state: All Keras variables that the function reads or assigns.
    """
    if is_tensorflow():
        import tensorflow as tf

        def called():
            function()
            return True

        tf.cond(condition, called, lambda: False)
        return
    import jax

    def called(values):
        _, (after,) = run_stateless(function, (state,), (values,))
        return after

    after = jax.lax.cond(condition, called, lambda values: values, [v.value for v in state])
    for variable, value in zip(state, after, strict=True):
        variable.assign(value)


def compiled(function: Callable, model: keras.Model | None = None) -> Callable:
    """A function of tensors as one graph: `tf.function`, traced anew for a new shape, or `jax.jit`.

    Args:
        function: From tensors, dictionaries of them or None to the same; draws nothing from seed
            generators.
        model: The model that it calls in inference, if it does. Its weights are read at each call,
            so that the function follows a model that is being trained.
    """
    if is_tensorflow():
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    import jax

    if model is None:
        return jax.jit(function)

    # As arguments, for JAX would write the weights into the graph as constants.
    @jax.jit
    def stateless(values, *arguments):
        with keras.StatelessScope(list(zip(model.variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: stateless([v.value for v in model.variables], *arguments)


def stateless_normal(shape, seed, number):
    """Standard normal float32 that depends on nothing but two integer scalars.

    Unlike `keras.random.normal`, it takes them as tensors, as a compiled loop has them. Backends
    draw different numbers from the same seed.
    """
    if is_tensorflow():
        import tensorflow as tf

        return tf.random.stateless_normal(shape, tf.stack([seed, number]))
    import jax

    return jax.random.normal(jax.random.fold_in(jax.random.key(seed), number), shape)
