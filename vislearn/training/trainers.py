"""From a network and its task to the compiled model whose `fit` trains the network."""

from typing import Any, Protocol

import keras
from keras import ops

from vislearn.training.accumulation import Accumulated
from vislearn.training.dropout_schedule import schedule_dropout
from vislearn.training.penalties import penalize
from vislearn.training.recipes import Recipe, build_optimizer
from vislearn.training.sharpness import SharpnessAware, SharpnessAwareModel
from vislearn.training.transfer import layer_rates, with_layer_rates


class Objective(Protocol):
    """What a network minimises where that is more than a loss of its outputs.

    Attributes:
        parts: Names of the summands that `loss` returns, in order; each becomes a curve.
        networks: Only where there are any: further models that `forward` calls. They are trained
            with the network, and are no part of what a run leaves.
    """

    parts: tuple[str, ...]

    def forward(self, network, x, *, seed_generator, training: bool) -> Any:
        """The network's outputs for `x`, with whatever `loss` needs beside them.

        Args:
            network: The functional model.
            x: What the task's `target` returns first.
            seed_generator: `keras.random.SeedGenerator` for all that is drawn.
            training: Whether layers behave as in training.
        """

    def loss(self, y, outputs) -> dict[str, Any]:
        """The summands of the loss, scalars in float32, from the targets and `forward`'s result."""


class ObjectiveTrainer(keras.Model):
    """Trains a network on an objective, by Keras's own step on every backend.

    Args:
        network: The functional model that is trained.
        objective: See `Objective`.
        seed: Seed of what the objective draws; its state is part of the trainer's variables, so
            that a resumed training draws what an unbroken one would.
    """

    def __init__(self, network: keras.Model, objective: Objective, seed: int = 0):
        super().__init__(name=f"{network.name}_trainer")
        self.network = network
        self.objective = objective
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.trackers = [keras.metrics.Mean(name=name) for name in objective.parts]
        self.networks = list(getattr(objective, "networks", ()))
        self.built = True  # The networks are, and there are no other weights.

    def call(self, x, training=False):
        return self.objective.forward(
            self.network, x, seed_generator=self.seed_generator, training=training
        )

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True, **unused
    ):
        parts = self.objective.loss(y, y_pred)
        for tracker in self.trackers:
            tracker.update_state(parts[tracker.name])
        # `losses` are penalties on weights.
        return ops.sum(
            ops.stack([*(parts[tracker.name] for tracker in self.trackers), *self.losses])
        )


class SharpnessAwareObjectiveTrainer(SharpnessAware, ObjectiveTrainer):
    """Trains a network on an objective with sharpness-aware minimisation.

    Args:
        network, objective, seed: See `ObjectiveTrainer`.
        radius: See `SharpnessAware`.
    """


def build_trainer(network: keras.Model, task, recipe: Recipe, steps: int, seed: int = 0):
    """The compiled model whose `fit` trains the network.

    Args:
        network: A model of the registry.
        task: Its task.
        recipe: How it is trained.
        steps: Batches of the whole training.
        seed: Seed of what is drawn while training.

    Raises:
        ValueError: If the recipe asks for what this training has not.
    """
    if recipe.accumulate > steps:
        raise ValueError(
            f"accumulate={recipe.accumulate} must be at most {steps}, the steps of the whole "
            "training: there would be no update."
        )
    own = task.trainer(network, recipe, steps, seed)
    if own is not None:
        if recipe.l1 or recipe.l2:
            raise ValueError(f"l1={recipe.l1}, l2={recipe.l2}: {network.name} has several losses.")
        if recipe.layer_decay < 1:
            raise ValueError(f"layer_decay={recipe.layer_decay}: {network.name} has several rates.")
        if recipe.sam is not None:
            raise ValueError(f"sam={recipe.sam}: {network.name} has several losses.")
        if recipe.accumulate > 1:
            raise ValueError(f"accumulate={recipe.accumulate}: {network.name} has several losses.")
        if recipe.dropout_schedule is not None:
            raise ValueError(
                f"dropout_schedule={recipe.dropout_schedule}: {network.name} has several networks."
            )
        return own
    if recipe.dropout_schedule is not None:
        network = schedule_dropout(network, recipe.dropout_schedule, steps // recipe.epochs)
    if recipe.l1 or recipe.l2:
        penalize(network, l1=recipe.l1, l2=recipe.l2, layers=recipe.penalized)
    objective = task.objective(network, recipe)
    if objective is None:
        trainer, loss, metrics = network, task.loss(recipe), task.metrics()
        if recipe.sam is not None:
            trainer = SharpnessAwareModel(network, radius=recipe.sam)
    else:
        # An empty list would make Keras look for a target of each output.
        loss = metrics = None
        if recipe.sam is None:
            trainer = ObjectiveTrainer(network, objective, seed)
        else:
            trainer = SharpnessAwareObjectiveTrainer(network, objective, seed, radius=recipe.sam)
    optimizer = build_optimizer(recipe, steps // recipe.accumulate, network)
    if recipe.layer_decay < 1:
        optimizer = with_layer_rates(optimizer, layer_rates(network, recipe.layer_decay))
    if recipe.accumulate > 1:
        optimizer = Accumulated(optimizer, recipe.accumulate)
    trainer.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    return trainer
