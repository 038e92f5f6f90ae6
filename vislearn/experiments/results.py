"""What an experiment measured: figures, pictures, and the verdict that follows from them."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

RESULT = "result.json"
REPORT = "report.html"


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measured number beside what was to be expected.

    Attributes:
        name: What it is, with its unit.
        value: What was measured; None where that is no finite number.
        expected: The figure of the source, or None.
        low, high: What still counts as expected, both included; None for no bound.
        checked: Whether the verdict depends on it.
        printed: What the source prints, where that is known to differ; or None.
        digits: Significant digits to show.
    """

    name: str
    value: float | None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    checked: bool = True
    printed: float | None = None
    digits: int = 4

    @property
    def bounded(self) -> bool:
        """Whether anything was expected."""
        return self.low is not None or self.high is not None

    @property
    def holds(self) -> bool | None:
        """Whether it is as expected; None where that is not checked."""
        if not (self.checked and self.bounded):
            return None
        return self.value is not None and self.miss == 0

    @property
    def miss(self) -> float:
        """By how much it is outside its bounds; infinite where it is no finite number."""
        if self.value is None:
            return math.inf
        below = 0.0 if self.low is None else self.low - self.value
        above = 0.0 if self.high is None else self.value - self.high
        return max(below, above, 0.0)

    def show(self, value: float | None) -> str:
        """A number of its kind as text."""
        if value is None:
            return "not finite"
        if float(value).is_integer() and abs(value) < 1e15:
            return f"{int(value):,}"
        return f"{value:.{self.digits}g}"

    @property
    def range(self) -> str:
        """What was expected, in words."""
        low, high = (None if bound is None else self.show(bound) for bound in (self.low, self.high))
        if self.low is None and self.high is None:
            return ""
        if self.expected is not None:
            spread = max(self.high - self.expected, self.expected - self.low)
            return self.show(self.expected) + (f" ± {spread:.2g}" if spread else "")
        if self.low is None:
            return f"at most {high}"
        return f"at least {low}" if self.high is None else f"{low} to {high}"

    @property
    def outcome(self) -> str:
        """As expected or not, and by how much, in a word or two."""
        if self.holds is None:
            return "not checked in a quick run" if self.bounded else ""
        if self.holds:
            return "as expected"
        return "not finite" if self.value is None else f"off by {self.miss:.{self.digits}g}"


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of an experiment: a file beside its result."""

    name: str
    caption: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.png"


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished experiment.

    Attributes:
        name, claim, source, expected: As registered; see `harness.Experiment`.
        quick: Whether it was the small version, and then `limits` says what that can't check.
        seed: Of everything that is drawn.
        figures, pictures, notes: What the experiment recorded.
        seconds: How long it took, its stored steps included.
        hardware: The machine.
        versions: Of the packages.
    """

    name: str
    claim: str
    source: str
    expected: str
    quick: bool
    limits: str
    seed: int
    figures: tuple[Figure, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]
    seconds: float
    hardware: str
    versions: dict[str, str]

    @property
    def holds(self) -> bool | None:
        """Whether every figure that is checked is as expected; None where none is checked."""
        found = [figure.holds for figure in self.figures if figure.holds is not None]
        return all(found) if found else None

    @property
    def verdict(self) -> str:
        """Whether the claim held, and what missed by how much."""
        checked = [figure for figure in self.figures if figure.holds is not None]
        missed = [figure for figure in checked if not figure.holds]
        open_ones = sum(figure.bounded for figure in self.figures) - len(checked)
        text = [
            {True: "Holds", False: "Does not hold", None: "Not decided"}[self.holds]
            + f": {len(checked) - len(missed)} of {len(checked)} figures are as expected."
        ]
        text += [
            f"{figure.name} is {figure.show(figure.value)}, expected {figure.range}: "
            f"{figure.outcome}."
            for figure in missed
        ]
        text += [
            f"The source prints {figure.show(figure.printed)} for {figure.name}, which is "
            f"{figure.show(figure.value)}."
            for figure in self.figures
            if figure.printed is not None and figure.printed != figure.value
        ]
        if open_ones:
            text.append(f"{open_ones} more are checked at full length only.")
        return " ".join(text)

    def table(self):
        """The figures as a `rich` table."""
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None)
        table.add_column("figure")
        table.add_column("measured", justify="right", no_wrap=True)
        table.add_column("expected")
        table.add_column("", no_wrap=True)
        for figure in self.figures:
            colour = {True: "green", False: "bold red", None: "dim"}[figure.holds]
            table.add_row(
                escape(figure.name),
                figure.show(figure.value),
                figure.range,
                f"[{colour}]{figure.outcome}[/{colour}]",
            )
        return table

    def save(self, folder: Path) -> None:
        """Writes `result.json`, the verdict included for those who read no Python."""
        from vislearn.training.checkpoint import write_atomically

        content = dataclasses.asdict(self) | {"holds": self.holds, "verdict": self.verdict}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(folder / RESULT, lambda file: file.write(text.encode()))


def load_result(path: Path) -> Result:
    """Reads a `result.json`; the verdict is computed anew.

    Raises:
        FileNotFoundError: If there is none.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for derived in ("holds", "verdict"):
        del content[derived]
    return Result(
        **content
        | {
            "figures": tuple(Figure(**row) for row in content["figures"]),
            "pictures": tuple(Picture(**row) for row in content["pictures"]),
            "notes": tuple(content["notes"]),
        }
    )


def write_report(result: Result, folder: Path) -> None:
    """Writes `report.html`, with the pictures that lie in the folder embedded."""
    from vislearn import pictures
    from vislearn.training.report import write_page

    checked = [figure for figure in result.figures if figure.holds is not None]
    verdict = {True: "holds", False: "does not hold", None: "not decided"}[result.holds]
    facts = {
        "claim": result.claim,
        "source": result.source,
        "expected": result.expected,
        "verdict": result.verdict,
        "length": f"quick: {result.limits}" if result.quick else "full",
        "seed": str(result.seed),
        "machine": result.hardware,
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    write_page(
        folder / REPORT,
        title=result.name.replace("_", " "),
        headline=[
            {"name": "claim", "value": verdict, "remark": ""},
            {
                "name": "figures as expected",
                "value": f"{sum(figure.holds for figure in checked)} of {len(checked)}",
                "remark": "",
            },
            {"name": "took", "value": f"{result.seconds:.1f} s", "remark": ""},
        ],
        facts=facts,
        table={
            "title": "Figures",
            "head": ["figure", "measured", "expected", ""],
            "rows": [
                [figure.name, figure.show(figure.value), figure.range, figure.outcome]
                for figure in result.figures
            ],
        },
        sections=[
            {
                "title": picture.name.replace("_", " ").capitalize(),
                "text": picture.caption,
                "figure": pictures.data_uri((folder / picture.file).read_bytes(), "image/png"),
            }
            for picture in result.pictures
        ],
        notes=list(result.notes),
    )
