"""The optimisers by the names that a course gives them; docs/optimizers.md has their equations."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class Rule:
    """An update rule of Keras.

    Attributes:
        kind: Class of the optimiser.
        momentum: What the class calls the recipe's momentum; None where the rule has none.
        fixed: Arguments that make it this rule.
        options: Names of the arguments that a recipe may set in `optimizer_options`.
    """

    kind: type
    momentum: str | None = None
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    options: tuple[str, ...] = ()


OPTIMIZERS = {
    "sgd": Rule(keras.optimizers.SGD),
    "momentum": Rule(keras.optimizers.SGD, "momentum"),
    "nesterov": Rule(keras.optimizers.SGD, "momentum", {"nesterov": True}),
    "adagrad": Rule(keras.optimizers.Adagrad, options=("initial_accumulator_value", "epsilon")),
    "adadelta": Rule(keras.optimizers.Adadelta, options=("rho", "epsilon")),
    "rmsprop": Rule(keras.optimizers.RMSprop, options=("rho", "epsilon", "momentum", "centered")),
    "adam": Rule(keras.optimizers.Adam, "beta_1", options=("beta_2", "epsilon", "amsgrad")),
    "adamw": Rule(keras.optimizers.AdamW, "beta_1", options=("beta_2", "epsilon", "amsgrad")),
}
# In the order of the table, each class once.
KINDS = tuple(dict.fromkeys(rule.kind for rule in OPTIMIZERS.values()))

_SWITCHES = ("amsgrad", "centered")
_SHARES = ("rho", "beta_2", "momentum")


def is_number(value) -> bool:
    """Whether a value is an integer or a finite float, and no boolean."""
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Sees that an optimiser has these options.

    Args:
        name: A key of `OPTIMIZERS`.
        options: Arguments of its class.

    Raises:
        ValueError: If an option is unknown or out of range.
    """
    known = OPTIMIZERS[name].options
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"optimizer_options has {option!r}; {name} takes {list(known) or 'none'}."
            )
        number = is_number(value)
        if option in _SWITCHES:
            rule, holds = "true or false", isinstance(value, bool)
        elif option in _SHARES:
            rule, holds = "at least 0 and below 1", number and 0 <= value < 1
        else:
            rule, holds = "at least 0", number and value >= 0
        if not holds:
            raise ValueError(f"optimizer_options: {option}={value!r} must be {rule}.")


def extend(mixin: type, kinds: Iterable[type]) -> dict[type, type]:
    """Classes of optimisers behind a mixin, each registered with Keras.

    Keras loads an optimiser by the name of its class, so that a class is needed for each
    combination; mixins that act on `update_step` may stand behind each other in any order, and
    see there the gradients of the whole batch, accumulated and clipped.

    Args:
        mixin: What comes first in the order of methods.
        kinds: The optimisers' classes.

    Returns:
        The new class by the old; `AdaptiveClipping` and `SGD` make `AdaptiveClippingSGD`.
    """
    register = keras.saving.register_keras_serializable("vislearn")
    return {
        kind: register(
            type(
                f"{mixin.__name__}{kind.__name__}",
                (mixin, kind),
                {"__doc__": f"`{kind.__name__}` behind `{mixin.__name__}`."},
            )
        )
        for kind in kinds
    }
