"""Gradient accumulation: batches larger than memory."""

import keras
from keras import ops

from vislearn import backend


@keras.saving.register_keras_serializable("vislearn")
class Accumulated(keras.optimizers.Optimizer):
    """An optimiser that is given the mean of several gradients at once, and nothing in between.

    Whatever counts steps in it (schedule, moving average, decay, Adam's correction), clips or
    scales by layer does so for the large batch. With `gradient_accumulation_steps` of Keras's own
    optimisers schedules and averages count the small batches.

    The mean over small batches of one size is that over the large batch, but for batch
    normalisation, which takes the statistics of each small batch and moves its averages at each.

    Args:
        optimizer: What updates the weights.
        steps: Gradients of which the mean is taken.

    Raises:
        ValueError: If `steps` is less than 1.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, steps: int, name="accumulated"):
        super().__init__(learning_rate=0.0, name=name)
        if steps < 1:
            raise ValueError(f"steps={steps!r} must be at least 1.")
        self.inner, self.steps = optimizer, steps

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The optimiser inside; the name is the one that Keras's TensorBoard asks for."""
        return [self.inner]

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.inner.build(variables)
        self._sums = [self.add_variable_from_reference(v, name="sum") for v in variables]

    @property
    def variables(self):
        return [*super().variables, *self.inner.variables]

    def apply(self, grads, trainable_variables=None):
        """Adds the gradients to the sums; every `steps` calls the optimiser takes a step."""
        if not self.built:
            self.build(list(trainable_variables))
        for total, gradient in zip(self._sums, grads, strict=True):
            if gradient is not None:
                total.assign_add(gradient)
        self._iterations.assign_add(1)
        unused = {i for i, gradient in enumerate(grads) if gradient is None}

        def step():
            means = [None if i in unused else s / self.steps for i, s in enumerate(self._sums)]
            self.inner.apply(means, self._trainable_variables)
            for total in self._sums:
                total.assign(ops.zeros(total.shape, total.dtype))

        state = [*self._sums, *self.inner.variables, *self._trainable_variables]
        backend.run_if(ops.equal(self._iterations % self.steps, 0), step, state)

    def finalize_variable_values(self, var_list):
        self.inner.finalize_variable_values(var_list)

    @property
    def learning_rate(self):
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.inner.learning_rate = value

    @property
    def iterations(self):
        return self.inner.iterations

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {"optimizer": inner, "steps": self.steps, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        inner = keras.saving.deserialize_keras_object(config["optimizer"], custom_objects)
        return cls(inner, config["steps"], config["name"])
