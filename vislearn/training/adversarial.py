"""Training of networks that have a loss and an optimiser each: generator against discriminator.

Goodfellow et al., "Generative Adversarial Nets", NIPS 2014, arXiv:1406.2661, algorithm 1.

`AlternatingTrainer` takes turns between phases, on TensorFlow and on JAX; `AdversarialTrainer` says
what the phases of a GAN are.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from vislearn import backend
from vislearn.losses.adversarial import adversarial_loss


@dataclasses.dataclass(frozen=True)
class Phase:
    """One of the turns in a training step.

    Attributes:
        name: Its name, under which its optimiser is given and its loss is shown.
        loss: From a batch and whether layers behave as in training to a float32 scalar.
        variables: What it updates.
        steps: Updates in each step, each on its share of the batch.
    """

    name: str
    loss: Callable[[Any, bool], Any]
    variables: Sequence
    steps: int = 1


@keras.saving.register_keras_serializable("vislearn")
class OptimizerGroup(keras.optimizers.Optimizer):
    """Several optimisers, each for variables of its own, as one for checkpoints and callbacks.

    Args:
        optimizers: The optimisers by name. Learning rate and iteration count of the group are those
            of the last.
    """

    def __init__(self, optimizers: Mapping[str, keras.optimizers.Optimizer], name="optimizers"):
        super().__init__(learning_rate=0.0, name=name)
        self.by_name = dict(optimizers)

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The optimisers in their order; the name is the one that Keras's TensorBoard asks for."""
        return list(self.by_name.values())

    def build_parts(self, variables: Mapping[str, Sequence]) -> None:
        """Tells each optimiser its variables.

        Raises:
            ValueError: If the names are not those of the optimisers.
        """
        if sorted(variables) != sorted(self.by_name):
            raise ValueError(
                f"optimizers={sorted(self.by_name)} must be one for each of {sorted(variables)}."
            )
        for name, optimizer in self.by_name.items():
            optimizer.build(list(variables[name]))
        self.built = True

    def build(self, variables):
        """Keras's hook for a flat list, which can't tell whose variables are whose."""
        if not self.built:
            raise ValueError("An OptimizerGroup is built by build_parts, and was not.")

    @property
    def variables(self):
        return [variable for optimizer in self.optimizers for variable in optimizer.variables]

    def apply_part(self, name: str, gradients: Sequence) -> None:
        """One update of the variables of one optimiser."""
        self.by_name[name].apply(gradients)

    def apply(self, grads, trainable_variables=None):
        raise ValueError("An OptimizerGroup is applied part by part, by apply_part.")

    def finalize_variable_values(self, var_list):
        """Puts averaged weights in place at the end of `fit`, where an optimiser keeps them.

        As copies: each optimiser's own method would on JAX leave weight and average one array,
        which the next `fit` or `evaluate` gives away as the one and then misses as the other.
        """
        del var_list
        for optimizer in self.optimizers:
            if optimizer.use_ema:
                averages = optimizer._model_variables_moving_average
                for weight, average in zip(optimizer._trainable_variables, averages, strict=True):
                    weight.assign(ops.copy(average))

    @property
    def learning_rate(self):
        return self.optimizers[-1].learning_rate

    @property
    def iterations(self):
        return self.optimizers[-1].iterations

    def get_config(self):
        parts = {
            name: keras.saving.serialize_keras_object(part) for name, part in self.by_name.items()
        }
        return {"name": self.name, "optimizers": parts}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: keras.saving.deserialize_keras_object(part, custom_objects=custom_objects)
            for name, part in config["optimizers"].items()
        }
        return cls(parts, name=config["name"])


class AlternatingTrainer(keras.Model):
    """A model whose training step is a sequence of phases, each with its loss and its optimiser.

    A subclass sets its networks and its `keras.random.SeedGenerator` as attributes, defines `call`
    and `phases`, and calls `finish` at the end of its constructor. `fit` and `evaluate` work on
    TensorFlow and on JAX, and take `x` alone.
    """

    def phases(self) -> tuple[Phase, ...]:
        """The phases, in the order of their turns."""
        raise NotImplementedError

    def finish(self) -> None:
        """To be called when the networks are there."""
        names = ["loss", *(f"{phase.name}_loss" for phase in self.phases())]
        self.trackers = [keras.metrics.Mean(name=name) for name in names]
        self.built = True  # The networks are, and there are no other weights.

    def compile(self, optimizers: Mapping[str, keras.optimizers.Optimizer], **options) -> None:
        """Configures training.

        Args:
            optimizers: One for each phase, by its name.
            **options: Further arguments of `keras.Model.compile`, such as `run_eagerly`.

        Raises:
            ValueError: If there is not one optimiser for each phase.
        """
        group = OptimizerGroup(optimizers)
        group.build_parts({phase.name: phase.variables for phase in self.phases()})
        super().compile(optimizer=group, **options)

    @property
    def metrics(self):
        """The sum of the losses, and each."""
        return self.trackers

    def train_step(self, *arguments):
        """Keras calls it with data on TensorFlow, and with state and data on JAX."""
        return self._run(arguments, training=True)

    def test_step(self, *arguments):
        return self._run(arguments, training=False)

    def _run(self, arguments, *, training: bool):
        *state, data = arguments
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        if not state:
            return self._take_turns(x, training)
        groups = [self.trainable_variables, self.non_trainable_variables]
        if training:
            groups.append(self.optimizer.variables)
        groups.append(self.metrics_variables)
        return backend.run_stateless(lambda: self._take_turns(x, training), groups, state[0])

    def _take_turns(self, x, training: bool) -> dict[str, Any]:
        losses = [self._phase(phase, x, training) for phase in self.phases()]
        losses.insert(0, ops.sum(ops.stack(losses)))
        for tracker, loss in zip(self.trackers, losses, strict=True):
            tracker.update_state(loss)
        return self.get_metrics_result()

    def _phase(self, phase: Phase, x, training: bool):
        """The updates of one phase; returns the mean of its losses before them."""
        shares = [
            keras.tree.map_structure(lambda tensor, first=first: tensor[first :: phase.steps], x)
            for first in range(phase.steps)
        ]
        return ops.mean(ops.stack([self._update(phase, share, training) for share in shares]))

    def _update(self, phase: Phase, x, training: bool):
        if not training:
            return phase.loss(x, False)
        loss, gradients = backend.value_and_gradients(
            lambda: phase.loss(x, True), phase.variables, self.variables
        )
        self.optimizer.apply_part(phase.name, gradients)
        return loss


class AdversarialTrainer(AlternatingTrainer):
    """Trains a generator against a discriminator.

    In each step the discriminator learns first. It sees real and generated pictures in batches of
    their own, so that batch normalisation does not mix them (as DCGAN's authors do).

    Args:
        network: The generator, from noise `(batch, latent)` to pictures in -1..1.
        discriminator: From pictures in -1..1 to logits `(batch, 1)`.
        loss: Name of the game: a key of `vislearn.losses.adversarial.LOSSES`.
        discriminator_steps: Updates of the discriminator for one of the generator, each on its
            share of the batch.
        gradient_penalty: Weight of a term that keeps the norm of the discriminator's gradient near
            1 (Gulrajani et al., NIPS 2017, arXiv:1704.00028, equation 3; the paper takes 10), which
            the Wasserstein loss needs. It is meant for discriminators without batch normalisation.
        seed: Seed of the noise.

    Shape: `fit` takes pictures `(batch, height, width, channels)`, 0..255.

    Raises:
        ValueError: If the loss is unknown, or if the networks don't fit together.
    """

    def __init__(
        self,
        network: keras.Model,
        discriminator: keras.Model,
        loss: str = "non_saturating",
        discriminator_steps: int = 1,
        gradient_penalty: float = 0.0,
        seed: int = 0,
    ):
        super().__init__(name=f"{network.name}_trainer")
        if network.output_shape != discriminator.input_shape:
            raise ValueError(
                f"discriminator takes pictures of the shape {discriminator.input_shape[1:]}, and "
                f"the generator makes {network.output_shape[1:]}."
            )
        if discriminator_steps < 1:
            raise ValueError(f"discriminator_steps={discriminator_steps!r} must be at least 1.")
        if gradient_penalty < 0:
            raise ValueError(f"gradient_penalty={gradient_penalty!r} must be at least 0.")
        self.network = network
        self.discriminator = discriminator
        self.game = adversarial_loss(loss)
        self.discriminator_steps = discriminator_steps
        self.gradient_penalty = gradient_penalty
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.finish()

    def call(self, noise, training=False):
        return self.network(noise, training=training)

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase(
                "discriminator",
                self.discriminator_loss,
                self.discriminator.trainable_variables,
                self.discriminator_steps,
            ),
            Phase("generator", self.generator_loss, self.network.trainable_variables),
        )

    def discriminator_loss(self, images, training: bool):
        """How badly real and generated pictures are told apart."""
        real = ops.cast(images, "float32") / 127.5 - 1.0
        fake = ops.stop_gradient(self.generate(ops.shape(images)[0], training))
        loss = self.game.discriminator(
            self.discriminator(real, training=training),
            self.discriminator(fake, training=training),
        )
        if self.gradient_penalty:
            loss = loss + self.gradient_penalty * self.steepness(real, fake, training)
        return loss

    def steepness(self, real, fake, training: bool):
        """E[(|dD/dx| - 1)^2] at points x between real and generated pictures."""
        share = self.shares(ops.shape(real)[0])
        gradient = backend.input_gradient(
            lambda x: self.discriminator(x, training=training),
            share * real + (1.0 - share) * fake,
            self.discriminator.variables,
        )
        squares = ops.sum(ops.square(gradient), axis=(1, 2, 3))
        # The square root has no derivative at 0.
        return ops.mean(ops.square(ops.sqrt(squares + 1e-12) - 1.0))

    def generator_loss(self, images, training: bool):
        """How badly the discriminator is deceived, by as many pictures as the batch has."""
        fake = self.generate(ops.shape(images)[0], training)
        return self.game.generator(self.discriminator(fake, training=training))

    def generate(self, count, training: bool):
        """Pictures in -1..1 from new noise."""
        return self.network(self.noise(count), training=training)

    def noise(self, count):
        """Standard normal noise `(count, latent)`."""
        return keras.random.normal((count, self.network.input_shape[1]), seed=self.seed_generator)

    def shares(self, count):
        """Numbers between 0 and 1, `(count, 1, 1, 1)`."""
        return keras.random.uniform((count, 1, 1, 1), seed=self.seed_generator)
