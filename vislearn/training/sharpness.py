"""Sharpness-aware minimisation, on TensorFlow and on JAX.

Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021,
arXiv:2010.01412, algorithm 1.
"""

import keras
from keras import ops

from vislearn import backend


class SharpnessAware:
    """Steps by the gradient at the worst point near the weights; stands before a `keras.Model`.

    A step takes two passes, and so about twice the time. The first gives loss, metrics and the
    gradient g, by which the weights go up to `w + radius g / |g|` (equation 2, with p = 2 and the
    norm over all weights). The second gives the gradient there, by which the optimiser then changes
    w itself.

    Both passes draw the same dropout masks, so that both gradients are those of one function. Batch
    normalisation takes the batch's own statistics in both; its moving statistics learn from the
    first pass alone, since the weights of the second are nowhere used.

    Args:
        radius: How far up the weights go, rho in the paper, which takes 0.05 without tuning.

    Raises:
        ValueError: If the radius is not positive, or under several devices of TensorFlow, whose
            copies of the weights can't go up each by itself.
    """

    def __init__(self, *args, radius: float, **kwargs):
        super().__init__(*args, **kwargs)
        if radius <= 0:
            raise ValueError(f"radius={radius!r} must be positive.")
        if backend.is_mirrored():
            raise ValueError(f"{radius=} goes with one device on TensorFlow; on JAX with several.")
        self.radius = radius

    def train_step(self, *arguments):
        """Keras calls it with data on TensorFlow, and with state and data on JAX."""
        *state, data = arguments
        batch = keras.utils.unpack_x_y_sample_weight(data)
        if not state:
            return self._two_passes(*batch)
        groups = [
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        ]
        return backend.run_stateless(lambda: self._two_passes(*batch), groups, state[0])

    def _two_passes(self, x, y, sample_weight):
        weights, rest = self.trainable_variables, self.non_trainable_variables
        state = [*rest, *self.metrics_variables]

        def loss(measured: bool):
            answers = self(x, training=True)
            value = self.compute_loss(
                x=x, y=y, y_pred=answers, sample_weight=sample_weight, training=True
            )
            if measured:
                images = ops.shape(keras.tree.flatten(x)[0])[0]
                self._loss_tracker.update_state(value, sample_weight=images)
                self.compute_metrics(x, y, answers, sample_weight)
            return value

        before = _copies([*weights, *rest])
        _, gradients = backend.value_and_gradients(lambda: loss(True), weights, state)
        after = _copies(state)

        # 1e-12: where the gradient is zero, the weights stay.
        scale = self.radius / (_norm(gradients) + 1e-12)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight.assign_add(ops.cast(scale, weight.dtype) * gradient)
        _assign(rest, before[len(weights) :])
        _, gradients = backend.value_and_gradients(lambda: loss(False), weights, state)

        _assign(weights, before[: len(weights)])
        _assign(state, after)
        self.optimizer.apply(gradients, weights)
        return self.get_metrics_result()


class SharpnessAwareModel(SharpnessAware, keras.Model):
    """A network as a model that is trained so; it has the network's variables and no other.

    Args:
        network: The functional model.
        radius: See `SharpnessAware`.
    """

    def __init__(self, network: keras.Model, *, radius: float):
        super().__init__(radius=radius, name=f"{network.name}_trainer")
        self.network = network
        self.built = True

    def call(self, x, training=False):
        return self.network(x, training=training)


def _norm(gradients):
    """The Euclidean norm of all gradients together, in float32."""
    squares = [ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients if g is not None]
    return ops.sqrt(ops.sum(ops.stack(squares)))


def _copies(variables) -> list:
    return [ops.copy(variable.value) for variable in variables]


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
