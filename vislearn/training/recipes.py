"""Recipes: how a family of networks is trained when nobody says otherwise."""

import dataclasses
import math
import re
from typing import Any

import keras

from vislearn.losses.classification import FORMULAS
from vislearn.training.adaptive_clipping import ADAPTIVE, unusual_units
from vislearn.training.optimizers import OPTIMIZERS, check_options, is_number
from vislearn.training.schedules import SCHEDULES, build_schedule

DROPOUT_SCHEDULE = re.compile("(early|linear|late):([1-9][0-9]*)")
# Normalisation and biases are not decayed (Goyal et al. 2017, arXiv:1706.02677, section 5.1), nor
# are tokens, or the centres and widths of radial basis functions: 0 is no simpler place for them.
NOT_DECAYED = (
    "gamma",
    "gain",
    "beta",
    "bias",
    "position_embedding",
    "class_token",
    "position_bias",
    "relative_rows",
    "relative_columns",
    "logit_scale",
    "centers",
    "widths",
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything about training that is neither the model nor the data.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Images a step.
        accumulate: Steps whose gradients are averaged for one update of the weights, which is then
            that of a batch so many times as large. Schedule and averages count updates.
        optimizer: A key of `OPTIMIZERS`, such as `"sgd"`, `"nesterov"` or `"adamw"`.
        optimizer_options: Its further arguments, such as `{"rho": 0.99}` of `"rmsprop"`.
        learning_rate: Peak learning rate.
        schedule: A key of `SCHEDULES`: `"cosine"` (5% of the steps to warm up, then down to zero),
            `"one_cycle"` (30% up, then down), `"constant"` ...
        schedule_options: Of the schedule, in shares of the training, such as `{"warmup": 0.1}`;
            see `schedules.build_schedule`.
        weight_decay: Decoupled decay: each step shrinks the kernels by this times the rate.
            With momentum 0.9, 5e-3 acts like 5e-4 that is added to the gradient.
        loss: What a classifier minimises, one of `vislearn.losses.classification.FORMULAS`, such as
            `"cubed_hinge"`, with `objective` as its options; None for the task's usual loss.
        l1, l2: Factors of the sums of sizes and of squares of the weights in the loss, which the
            optimiser sees, as opposed to weight decay (see `vislearn.training.penalties`).
        penalized: Wildcard of the layers whose weights `l1` and `l2` are about.
        label_smoothing: Probability mass spread over all classes.
        augment: What `load_dataset` does to training images: the name of a preset, or the
            dictionary of an `Augmentation` (its YAML file, when passed to `train`).
        clip_norm: Largest global norm of the gradient; None for no clipping.
        clip_value: Largest absolute value of any of its numbers; None for no clipping.
        agc: Adaptive clipping: the largest norm of a unit's gradient beside that of its weights
            (arXiv:2102.06171), the head's excepted; None for none.
        sam: Radius of sharpness-aware minimisation (arXiv:2010.01412), which takes two passes a
            step; 0.05 is usual, None for none.
        patience: Epochs without a better validation metric after which training stops.
        momentum: Of `"momentum"` and `"nesterov"`, or the first beta of Adam; others have none.
        ema: Decay a step of a moving average of the weights, which is then what is validated and
            kept (Polyak and Juditsky 1992); 0 for none.
        layer_decay: Factor on the learning rate from each stage to the one before; 1 for one rate.
        dropout_schedule: `"early:N"`, dropout and stochastic depth in the first N epochs only
            (arXiv:2303.01500); `"linear:N"`, with rates that fall to zero over these; `"late:N"`,
            none in the first N; None for all of the training.
        objective: Options of the family's objective, such as `{"beta": 4.0}`.
    """

    epochs: int = 30
    batch_size: int = 128
    accumulate: int = 1
    optimizer: str = "nesterov"
    learning_rate: float = 0.2
    schedule: str = "cosine"
    weight_decay: float = 5e-3
    loss: str | None = None
    l1: float = 0.0
    l2: float = 0.0
    penalized: str = "*"
    label_smoothing: float = 0.1
    augment: str | dict[str, Any] = "standard"
    clip_norm: float | None = None
    clip_value: float | None = None
    agc: float | None = None
    sam: float | None = None
    patience: int = 15
    momentum: float = 0.9
    ema: float = 0.0
    layer_decay: float = 1.0
    dropout_schedule: str | None = None
    objective: dict[str, Any] = dataclasses.field(default_factory=dict)
    optimizer_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule_options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name, rule, holds in (
            ("epochs", "a positive integer", _whole(self.epochs)),
            ("batch_size", "a positive integer", _whole(self.batch_size)),
            ("accumulate", "a positive integer", _whole(self.accumulate)),
            ("patience", "a positive integer", _whole(self.patience)),
            ("optimizer", f"one of {[*OPTIMIZERS]}", _named(self.optimizer, OPTIMIZERS)),
            ("schedule", f"one of {[*SCHEDULES]}", _named(self.schedule, SCHEDULES)),
            ("loss", f"one of {sorted(FORMULAS)}", _none_or(self.loss, _named, FORMULAS)),
            ("learning_rate", "positive and finite", _positive(self.learning_rate)),
            ("weight_decay", "at least 0", _at_least_0(self.weight_decay)),
            ("l1", "at least 0", _at_least_0(self.l1)),
            ("l2", "at least 0", _at_least_0(self.l2)),
            ("penalized", "a wildcard of layer names", isinstance(self.penalized, str)),
            ("label_smoothing", "between 0 and 1", _at_least_0(self.label_smoothing, most=1)),
            ("augment", "a name or a dictionary", _none_or(self.augment, isinstance, str | dict)),
            ("clip_norm", "positive and finite", _none_or(self.clip_norm, _positive)),
            ("clip_value", "positive and finite", _none_or(self.clip_value, _positive)),
            ("agc", "positive and finite", _none_or(self.agc, _positive)),
            ("sam", "positive and finite", _none_or(self.sam, _positive)),
            ("momentum", "at least 0 and below 1", _at_least_0(self.momentum, below=1)),
            ("ema", "at least 0 and below 1", _at_least_0(self.ema, below=1)),
            (
                "dropout_schedule",
                "early:N, linear:N or late:N",
                _none_or(self.dropout_schedule, _matches, DROPOUT_SCHEDULE),
            ),
            ("layer_decay", "above 0 and at most 1", _positive(self.layer_decay, most=1)),
            ("objective", "a dictionary", isinstance(self.objective, dict)),
            ("optimizer_options", "a dictionary", isinstance(self.optimizer_options, dict)),
            ("schedule_options", "a dictionary", isinstance(self.schedule_options, dict)),
        ):
            if not holds:
                raise ValueError(f"{name}={getattr(self, name)!r} must be {rule}.")
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError(
                f"clip_value={self.clip_value!r} goes without clip_norm={self.clip_norm!r}."
            )
        check_options(self.optimizer, self.optimizer_options)
        build_schedule(self.schedule, self.learning_rate, 1000, **self.schedule_options)


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _positive(value, most: float = math.inf) -> bool:
    return is_number(value) and 0 < value <= most


def _at_least_0(value, most: float = math.inf, below: float = math.inf) -> bool:
    return is_number(value) and 0 <= value <= most and value < below


def _named(value, names) -> bool:
    return isinstance(value, str) and value in names


def _matches(value, pattern: re.Pattern) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _none_or(value, holds, *arguments) -> bool:
    return value is None or holds(value, *arguments)


_ADAMW = Recipe(
    optimizer="adamw",
    learning_rate=2e-3,
    schedule="one_cycle",
    weight_decay=0.05,
    label_smoothing=0.0,
)
_TRANSFORMER = dataclasses.replace(
    _ADAMW, learning_rate=1e-3, schedule="cosine", label_smoothing=0.1, clip_norm=1.0
)

# Chosen on CIFAR-10 (45,000 training images, measured on the 5,000 held out; see docs/results.md).
# Families that are not listed take the first: convolutional networks with batch norm.
_RECIPES = {
    None: Recipe(),
    "resnet": Recipe(batch_size=64),
    "linear": _ADAMW,
    "mlp": _ADAMW,
    "convnet": dataclasses.replace(
        _ADAMW, learning_rate=4e-3, weight_decay=0.2, label_smoothing=0.1
    ),
    "lenet": _ADAMW,
    "vit": _TRANSFORMER,
    "performer": _TRANSFORMER,
    # Not measured: layer normalisation as in transformers.
    "convnext": _TRANSFORMER,
    "mixer": _TRANSFORMER,
    # Not measured: the paper's rate of 0.1 for a batch of 256. Its threshold of 0.01 is for batches
    # of 4096, and small ones allow a larger one (Figure 2b).
    "nfnet": Recipe(batch_size=64, learning_rate=0.025, agc=0.08),
    # Not measured: without batch norm these don't stand the first recipe's rate.
    "alexnet": dataclasses.replace(_ADAMW, learning_rate=5e-4, clip_norm=1.0),
    "vgg": dataclasses.replace(_ADAMW, learning_rate=5e-4, clip_norm=1.0),
    "squeezenet": dataclasses.replace(_ADAMW, learning_rate=1e-3, clip_norm=1.0),
    # Where something lies may be what is measured, so pictures are left alone.
    "phurie": dataclasses.replace(_ADAMW, learning_rate=1e-3, augment="none"),
    "swin": _TRANSFORMER,
    "mvit": _TRANSFORMER,
    # Chosen on MNIST.
    "vae": Recipe(
        optimizer="adam",
        learning_rate=1e-3,
        schedule="one_cycle",
        weight_decay=0.0,
        label_smoothing=0.0,
    ),
    "gan": Recipe(
        batch_size=64,
        optimizer="adam",
        learning_rate=1e-3,
        momentum=0.5,
        weight_decay=0.0,
        label_smoothing=0.0,
        ema=0.995,
        objective={"discriminator_rate": 0.4},
    ),
    "diffusion": Recipe(
        batch_size=64,
        optimizer="adam",
        learning_rate=2e-3,
        weight_decay=0.0,
        label_smoothing=0.0,
        clip_norm=1.0,
        ema=0.995,
    ),
    # By method, for networks that learn without labels. Not measured against other values; the
    # papers' optimisers are for batches of 4096.
    "simclr": Recipe(
        epochs=100,
        batch_size=256,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.01,
        label_smoothing=0.0,
        augment="simclr",
    ),
    # Averaged like the teacher, which does better than the student (arXiv:2104.14294, figure 6).
    # Chosen on the digits.
    "dino": Recipe(
        epochs=100,
        batch_size=256,
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=0.04,
        label_smoothing=0.0,
        clip_norm=3.0,
        ema=0.97,
        augment="simclr",
    ),
    "mae": Recipe(
        epochs=100,
        batch_size=256,
        optimizer="adamw",
        optimizer_options={"beta_2": 0.95},
        learning_rate=1e-3,
        weight_decay=0.05,
        label_smoothing=0.0,
        augment="mae",
    ),
    "simmim": Recipe(
        epochs=100,
        batch_size=256,
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.05,
        label_smoothing=0.0,
        augment="mae",
    ),
    # Chosen on `shapes`.
    "retinanet": dataclasses.replace(
        _ADAMW, batch_size=16, learning_rate=1e-3, augment="flip", clip_norm=1.0
    ),
    "unet": dataclasses.replace(_ADAMW, batch_size=8, augment="flip"),
}


def default_recipe(family: str) -> Recipe:
    """The recipe of a family, or of a method of learning without labels."""
    return _RECIPES.get(family, _RECIPES[None])


def build_optimizer(recipe: Recipe, steps: int, network: keras.Model | None = None):
    """The Keras optimiser of a recipe for a training of `steps` optimiser steps.

    Args:
        recipe: How the network is trained.
        steps: Updates of its weights.
        network: The network, by whose layers adaptive clipping knows the units of a kernel; None
            where there are dense layers and convolutions alone.
    """
    rule = OPTIMIZERS[recipe.optimizer]
    kind = rule.kind
    options = {
        "learning_rate": build_schedule(
            recipe.schedule, recipe.learning_rate, steps, **recipe.schedule_options
        ),
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": recipe.clip_norm,
        "clipvalue": recipe.clip_value,
        **rule.fixed,
        **recipe.optimizer_options,
    }
    if rule.momentum:
        options[rule.momentum] = recipe.momentum
    if recipe.ema:
        options |= {"use_ema": True, "ema_momentum": recipe.ema}
    if recipe.agc is not None:
        kind = ADAPTIVE[kind]
        options["agc"] = recipe.agc
        options["agc_axes"] = {} if network is None else unusual_units(network)
    optimizer = kind(**options)
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer
