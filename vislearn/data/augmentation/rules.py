"""What the fields of settings may hold, told with the fields and checked in one place."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a field may hold: in words, and as a function."""

    text: str
    holds: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def setting(default, rule: Rule, **options):
    return dataclasses.field(default=default, metadata={"rule": rule}, **options)


def between(low: float, high: float) -> Rule:
    return Rule(f"between {low:g} and {high:g}", lambda v: is_number(v) and low <= v <= high)


def whole(low: int, high: int) -> Rule:
    return Rule(
        f"an integer from {low} to {high}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
    )


def ordered(low: float, high: float) -> Rule:
    return Rule(
        f"two numbers between {low:g} and {high:g}, in order",
        lambda v: (
            isinstance(v, tuple)
            and len(v) == 2
            and all(map(is_number, v))
            and low <= v[0] <= v[1] <= high
        ),
    )


def one_of(*choices: str) -> Rule:
    return Rule(f"one of {choices}", lambda v: v in choices)


def is_vector(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(is_number, value))


def are_pairs(value: Any) -> bool:
    """Whether it is a tuple of pairs of numbers from 0, none of them met twice."""
    if not isinstance(value, tuple) or not all(isinstance(v, tuple) and len(v) == 2 for v in value):
        return False
    numbers = [number for pair in value for number in pair]
    return all(type(n) is int and n >= 0 for n in numbers) and len({*numbers}) == len(numbers)


def check_fields(settings: Any) -> None:
    """Sees that each field of a dataclass keeps the rule in its metadata; lists become tuples.

    Raises:
        ValueError: If one does not, naming the field, the value and the rule.
    """
    for field in dataclasses.fields(settings):
        value = _as_tuples(getattr(settings, field.name))
        object.__setattr__(settings, field.name, value)
        rule = field.metadata.get("rule")
        if rule is not None and not rule.holds(value):
            raise ValueError(f"{field.name}={value!r} must be {rule.text}.")


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value
