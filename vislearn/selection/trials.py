"""The trials of a search: their record in `trials.json`, their order, and how they are told."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vislearn.selection.runs import write_json

RUNNING, FINISHED, DIVERGED, FAILED = "running", "finished", "diverged", "failed"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes:
        number: From 1.
        params: Values by name, as in the space.
        state: `"running"` (or killed), `"finished"`, `"diverged"`, or `"failed"`: what its
            parameters ask for can't be built or trained.
        value: The task's metric on the validation images at the best epoch; None unless finished.
        seconds: How long it took, from its last start.
        message: What was wrong, where it failed.
    """

    number: int
    params: dict[str, Any]
    state: str = RUNNING
    value: float | None = None
    seconds: float | None = None
    message: str | None = None


def ranking(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """The finished trials, the best first; of equals the earlier."""
    finished = [trial for trial in trials if trial.state == FINISHED]
    return sorted(finished, key=lambda trial: trial.value, reverse=mode == "max")


def read_trials(folder: Path) -> list[Trial]:
    """What a search has done; nothing where it has just begun."""
    path = folder / "trials.json"
    return [Trial(**row) for row in json.loads(path.read_text())] if path.exists() else []


def write_trials(folder: Path, trials: Sequence[Trial]) -> None:
    """Writes the record of a search."""
    write_json(folder / "trials.json", [dataclasses.asdict(trial) for trial in trials])


def trial_line(trial: Trial, total: int, metric: str, best: Trial | None, kept: bool) -> str:
    """A line on a trial that has ended, with a star if it is the best."""
    width = len(str(total))
    figure = trial.state if trial.value is None else f"{metric} {trial.value:.4f}"
    params = "  ".join(f"{name} {short(value)}" for name, value in trial.params.items())
    end = "kept" if kept else f"{trial.seconds:.1f} s"
    star = "  *" if best is not None and best.number == trial.number else ""
    why = f"\n  {trial.message}" if trial.message else ""
    return f"trial {trial.number:>{width}}/{total}  {figure}  {params}  {end}{star}{why}"


def short(value: Any) -> str:
    """A value in few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
