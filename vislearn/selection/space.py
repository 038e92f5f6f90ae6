"""What a search goes through: choices and ranges, and how they are written on the command line."""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: JSON values.
    """

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """Each value with the same probability."""
        return self.values[int(rng.integers(len(self.values)))]

    def grid(self) -> list[Any]:
        """All values."""
        return [*self.values]

    def distribution(self):
        """The same for Optuna, which takes no lists as choices: they go as JSON."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([json.dumps(value) for value in self.values])

    def encode(self, value: Any) -> Any:
        """A value as Optuna knows it."""
        return json.dumps(value)

    def decode(self, value: Any) -> Any:
        """A value of Optuna's."""
        return json.loads(value)


@dataclasses.dataclass(frozen=True)
class Range:
    """A number from an interval, its ends included.

    Attributes:
        low, high: The ends; whole numbers if both are integers.
        log: Whether all orders of magnitude count alike.
        points: How many values a grid takes from it, at even distances; None to refuse a grid.
    """

    low: float
    high: float
    log: bool = False
    points: int | None = None

    @property
    def whole(self) -> bool:
        """Whether only integers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, rng: np.random.Generator) -> float:
        """Uniform, or uniform in the logarithm (Bergstra and Bengio 2012)."""
        # Each integer owns the half before and behind it.
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        ends = (math.log(low), math.log(high)) if self.log else (low, high)
        value = rng.uniform(*ends)
        return self._rounded(math.exp(value) if self.log else value)

    def grid(self) -> list[float]:
        """`points` values, both ends included.

        Raises:
            ValueError: If there are no `points`.
        """
        if self.points is None:
            raise ValueError(
                f"A grid needs the number of points of {self.low}..{self.high}: write it behind a "
                f"colon, {self.low}..{self.high}:5."
            )
        space = np.geomspace if self.log else np.linspace
        return list(dict.fromkeys(map(self._rounded, space(self.low, self.high, self.points))))

    def _rounded(self, value: float) -> float:
        value = round(value) if self.whole else float(value)
        return min(max(value, self.low), self.high)

    def distribution(self):
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        kind = IntDistribution if self.whole else FloatDistribution
        return kind(self.low, self.high, log=self.log)

    def encode(self, value: float) -> float:
        """A value as Optuna knows it."""
        return value

    decode = encode


Space = dict[str, Choice | Range]


def parse_space(pairs: Iterable[str]) -> Space:
    """A space from what `--space` takes.

    Args:
        pairs: `name=a,b,c` for choices (JSON where it parses, else text), `name=1e-4..1e-1` for a
            range, of whole numbers where both ends are, `name=log:1e-4..1e-1` for one in which all
            orders of magnitude count alike; a range may end in `:5` for five points of a grid.

    Raises:
        ValueError: If a pair has another form, a name comes twice, or a range is empty.
    """
    space: Space = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name or not text:
            raise ValueError(f"--space {pair!r} must have the form name=values.")
        if name in space:
            raise ValueError(f"--space {pair!r}: {name} is given twice.")
        space[name] = _range(pair, text) if ".." in text else Choice(tuple(_values(text)))
    if not space:
        raise ValueError("--space is empty: there is nothing to search.")
    return space


def _values(text: str) -> list[Any]:
    """`"sgd,adamw"`, `"8,14"`, `"[8,16],[16,32]"`: a JSON list without its brackets, or words."""
    try:
        return json.loads(f"[{text}]")
    except json.JSONDecodeError:
        return [_value(word.strip()) for word in text.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def _range(pair: str, text: str) -> Range:
    log = text.startswith("log:")
    ends, colon, points = text.removeprefix("log:").partition(":")
    low, _, high = ends.partition("..")
    try:
        low, high = json.loads(low), json.loads(high)
        found = Range(low, high, log, int(points) if colon else None)
    except ValueError as error:
        raise ValueError(
            f"--space {pair!r} must have the form name=[log:]low..high[:points]."
        ) from error
    if not low < high or (log and low <= 0) or (colon and found.points < 2):
        raise ValueError(
            f"--space {pair!r}: low must be below high, above 0 with log, and points at least 2."
        )
    return found


def grid(space: Mapping[str, Choice | Range]) -> Iterator[dict[str, Any]]:
    """Every combination, the last name changing fastest."""
    for values in itertools.product(*(each.grid() for each in space.values())):
        yield dict(zip(space, values, strict=True))
