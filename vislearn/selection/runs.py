"""What search and cross-validation share: many runs in one folder, each finished exactly once."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras

from vislearn.training.callbacks import progress_bar
from vislearn.training.checkpoint import write_atomically
from vislearn.training.fitting import train
from vislearn.training.run import Run, differences

PLAN = "plan.json"
REPORT = "report.html"  # The last thing that a run writes.


def check_plan(folder: Path, plan: dict[str, Any], resume: bool) -> None:
    """Sees that runs can start in a folder, or that those in it follow the same plan.

    Nothing is written, so that other arguments can be judged before the folder is made.

    Args:
        folder: Where the runs go, each into a folder below.
        plan: All that they follow from, as JSON values.
        resume: Whether the folder is there already.

    Raises:
        FileExistsError: If there is something in the folder, without `resume`.
        FileNotFoundError: If there is no plan in it, with `resume`.
        ValueError: If the plan in it is another.
    """
    path = folder / PLAN
    if resume:
        if not path.is_file():
            raise FileNotFoundError(f"resume: {folder} has no {PLAN}: nothing was begun in it.")
        before, now = json.loads(path.read_text()), json.loads(json.dumps(plan))
        if before != now:
            told = differences(before, now)
            raise ValueError(f"resume: what was begun in {folder} has {told}.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"out={str(folder)!r} exists already. Go on with it (--resume) or name another folder."
        )


def write_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Starts a folder of runs, or keeps the plan in it, which `check_plan` found to be the same."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan)


def write_json(path: Path, values: Any) -> None:
    """Writes JSON atomically."""
    text = json.dumps(values, indent=2) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def finished(folder: Path) -> bool:
    """Whether the run in a folder has ended."""
    return (folder / REPORT).is_file()


def finish(model: str, *, out: Path, **arguments) -> Run:
    """Trains a run, goes on with one that was killed, or opens one that has ended.

    Args:
        model, out, **arguments: See `vislearn.training.train`.
    """
    if finished(out):
        return Run.open(out)
    begun = (out / "config.json").is_file()
    if not begun and out.exists():
        shutil.rmtree(out)  # It was killed before it had written anything to go on from.
    return train(model, out=out, resume=begun, **arguments)


class Epochs(keras.callbacks.Callback):
    """Moves a bar that counts runs on by the share of an epoch.

    Args:
        bar: What `progress_bar` returned.
        task: Its task, whose total is the number of runs.
        before: Runs that have ended.
    """

    def __init__(self, bar, task, before: int):
        super().__init__()
        self.bar, self.task, self.before = bar, task, before

    def on_epoch_end(self, epoch, logs=None):
        share = (epoch + 1) / self.params["epochs"]
        self.bar.update(self.task, completed=self.before + share)


class Counter:
    """Shows how many of several runs have ended: a bar, and a line for each.

    A context manager, so that the bar is also taken down when one fails.

    Args:
        console: `rich.console.Console` to print on.
        label: What is counted, such as `"trials"`.
        total: How many there will be.
    """

    def __init__(self, console, label: str, total: int):
        self.console, self.total = console, total
        self.bar = progress_bar(console)
        self.task = self.bar.add_task(label, total=total, figures="")

    def __enter__(self) -> "Counter":
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def epochs(self, number: int) -> Epochs:
        """What moves the bar on while the n-th run trains, from 1."""
        return Epochs(self.bar, self.task, number - 1)

    def ended(self, number: int, line: str, figures: str) -> None:
        """Prints the line of a run, and shows the figures beside the bar."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        self.bar.update(self.task, completed=number, figures=figures)
