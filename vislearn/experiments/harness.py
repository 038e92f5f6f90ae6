"""How an experiment is registered, run and resumed; the package's docstring shows how to write one.

A run is a folder:

    settings.json    what makes the run, compared on resume
    steps/           the values of finished steps
    NAME.png         the pictures
    result.json      claim, figures, verdict, machine, versions
    report.html      the same to read
"""

import contextlib
import dataclasses
import difflib
import functools
import importlib
import json
import math
import pkgutil
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vislearn.experiments.results import (
    RESULT,
    Figure,
    Picture,
    Result,
    load_result,
    write_report,
)

SETTINGS = "settings.json"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A registered experiment.

    Attributes:
        name: That of its function.
        claim: What is said to be so, in a sentence.
        source: Paper and section, figure or table; or the course's notes.
        expected: The figures that the source gives, and their spread.
        minutes: How long the full run takes on two cores.
        quick: What the quick version checks, and what it can't.
        function: From a `Context` to nothing.
    """

    name: str
    claim: str
    source: str
    expected: str
    minutes: float
    quick: str
    function: Callable[["Context"], None]


_experiments: dict[str, Experiment] = {}


def experiment(
    *, claim: str, source: str, expected: str, minutes: float, quick: str
) -> Callable[[Callable], Callable]:
    """Registers the decorated function under its name; for the arguments see `Experiment`.

    Raises:
        ValueError: If the name is taken.
    """

    def add(function: Callable[["Context"], None]) -> Callable[["Context"], None]:
        name = function.__name__
        if name in _experiments:
            raise ValueError(f"There is an experiment name={name!r} already.")
        _experiments[name] = Experiment(name, claim, source, expected, minutes, quick, function)
        return function

    return add


@functools.cache
def _load_experiments() -> None:
    """Imports every module beside this one, each of which registers its own."""
    package = importlib.import_module("vislearn.experiments")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def list_experiments() -> list[Experiment]:
    """The registered experiments, by name."""
    _load_experiments()
    return [_experiments[name] for name in sorted(_experiments)]


def get_experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        ValueError: If there is none; the message suggests the nearest names.
    """
    _load_experiments()
    if name not in _experiments:
        near = difflib.get_close_matches(name, _experiments, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"There is no experiment name={name!r}. {hint} `vislearn experiment list` shows all."
        )
    return _experiments[name]


class Context:
    """What a running experiment works with.

    Attributes:
        quick: Whether the small version is wanted.
        seed: Seed of everything that is drawn.
        random: A NumPy generator of this seed. Keras is seeded alike, and within a step both are
            seeded by its name, so that a resumed experiment draws what an unbroken one does.
        folder: Folder of the run.
        data_dir: Where data sets are, or None.
        quiet: Whether to show no progress.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quick: bool = False,
        seed: int = 0,
        data_dir: Path | None = None,
        quiet: bool = False,
    ):
        self.quick, self.seed, self.folder = quick, seed, folder
        self.data_dir, self.quiet = data_dir, quiet
        self.figures: list[Figure] = []
        self.pictures: list[Picture] = []
        self.notes: list[str] = []
        self.saved_seconds = 0.0  # That steps took in runs before this one.
        self._seed_all("")

    def _seed_all(self, name: str) -> None:
        from vislearn import backend

        self.random = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        backend.make_deterministic((self.seed + zlib.crc32(name.encode())) % 2**31)

    def figure(
        self,
        name: str,
        value: float,
        *,
        expected: float | None = None,
        tolerance: float = 0.0,
        at_least: float | None = None,
        at_most: float | None = None,
        full_only: bool = False,
        printed: float | None = None,
        digits: int = 4,
    ) -> None:
        """Records a measured number, and what was to be expected of it.

        Args:
            name: What it is, with its unit.
            value: What was measured.
            expected: What the source says, to be met within `tolerance`.
            tolerance: Largest distance from `expected`.
            at_least, at_most: Bounds, where the source gives no number; both included.
            full_only: Report it in a quick run, but don't check it.
            printed: What the source prints, where that is wrong.
            digits: Significant digits to show.

        Raises:
            ValueError: If there are bounds beside `expected`, or the name is taken.
        """
        if expected is not None and (at_least is not None or at_most is not None):
            raise ValueError(f"Figure {name!r} takes {expected=} or {at_least=} and {at_most=}.")
        if any(figure.name == name for figure in self.figures):
            raise ValueError(f"There is a figure {name=} already.")
        # NumPy's numbers are no JSON.
        expected, at_least, at_most, printed = (
            None if number is None else float(number)
            for number in (expected, at_least, at_most, printed)
        )
        if expected is not None:
            at_least, at_most = expected - tolerance, expected + tolerance
        self.figures.append(
            Figure(
                name,
                float(value) if math.isfinite(value) else None,
                expected,
                at_least,
                at_most,
                not (full_only and self.quick),
                printed,
                digits,
            )
        )

    def picture(self, name: str, figure, caption: str) -> None:
        """Saves a matplotlib figure as `NAME.png`.

        Args:
            name: Lower-case letters, digits and underscores.
            figure: Drawn inside `vislearn.pictures.style.style()`.
            caption: A sentence or two: what is to be seen.

        Raises:
            ValueError: If the name is malformed or taken.
        """
        from vislearn import pictures

        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"Picture {name=} must be lower-case letters, digits and underscores.")
        if any(picture.name == name for picture in self.pictures):
            raise ValueError(f"There is a picture {name=} already.")
        self.pictures.append(Picture(name, caption))
        pictures.save(figure, self.folder / self.pictures[-1].file)

    def note(self, text: str) -> None:
        """Adds a remark to the report."""
        self.notes.append(text)

    def step(self, name: str, function: Callable, *arguments) -> Any:
        """The value of `function(*arguments)`, computed once in this folder.

        Args:
            name: Of the step: lower-case letters, digits and underscores.
            function: Returns what JSON holds: numbers, texts, lists, dictionaries with text keys.
            *arguments: For the function; a step is known by its name alone.

        Raises:
            ValueError: If the name is malformed.
        """
        from vislearn.training.checkpoint import write_atomically

        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"Step {name=} must be lower-case letters, digits and underscores.")
        path = self.folder / "steps" / f"{name}.json"
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self.saved_seconds += stored["seconds"]
            self._say(f"{name}: kept from an earlier run")
            return stored["value"]
        outside = self.random
        self._seed_all(name)
        start = time.perf_counter()
        value = function(*arguments)
        seconds = time.perf_counter() - start
        self._seed_all("")
        self.random = outside
        text = json.dumps({"seconds": seconds, "value": value})
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, lambda file: file.write(text.encode()))
        self._say(f"{name}: {seconds:.1f} s")
        return json.loads(text)["value"]  # As a resumed run would read it.

    def track(self, items: Iterable, description: str, total: int | None = None) -> Iterator:
        """The items one by one, with a progress bar."""
        from rich.progress import track

        return iter(track(items, description, total=total, transient=True, disable=self.quiet))

    def dataset(self, name: str, *, quick: str = "digits", **options):
        """Loads a data set, in a quick run a small one that is built in.

        Args:
            name: Name of the full data set. A folder of this name in the data folder is read, with
                `train/` and `test/` of class folders inside; otherwise TFDS is asked.
            quick: What stands for it in a quick run.
            **options: Further arguments of `vislearn.load_dataset`.

        Returns:
            A `vislearn.data.Dataset`.

        Raises:
            FileNotFoundError: If it is in neither place.
        """
        from vislearn.data import load_dataset

        return load_dataset(
            self.source(name, quick),
            data_dir=self.data_dir,
            seed=self.seed,
            quiet=self.quiet,
            **options,
        )

    def train(self, name: str, model: str, *, data: str, quick: str = "digits", **arguments):
        """A finished run of `vislearn train`, in the folder `runs/NAME`.

        A run that was stopped goes on after its last whole epoch; one that has ended is opened.

        Args:
            name: Of the run.
            model: Registry name.
            data, quick: As in `dataset`; `data` may also be a folder.
            **arguments: Further arguments of `vislearn.training.train`, such as fields of the
                recipe; the seed is that of the experiment unless it is among them.

        Returns:
            A `vislearn.training.Run`.
        """
        from vislearn.selection.runs import finish

        options = arguments.pop("data_options", {})
        if self.data_dir is not None:
            options = {"data_dir": str(self.data_dir), **options}
        start = time.perf_counter()
        run = finish(
            model,
            out=self.folder / "runs" / name,
            data=str(self.source(data, quick)),
            data_options=options,
            quiet=self.quiet,
            **{"seed": self.seed, **arguments},
        )
        epochs = sum(row["seconds"] for row in run.history())
        self.saved_seconds += max(epochs - (time.perf_counter() - start), 0.0)
        return run

    def source(self, name: str, quick: str = "digits") -> str | Path:
        """What `load_dataset` and `train` take for a data set; arguments as in `dataset`."""
        if self.quick or self.data_dir is None:
            return quick if self.quick else name
        folder = self.data_dir / name
        return folder if (folder / "train").is_dir() else name

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(f"  {text}", flush=True)


def run_experiment(
    name: str,
    *,
    out: str | Path | None = None,
    quick: bool = False,
    seed: int = 0,
    data_dir: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
) -> Result:
    """Runs an experiment, or goes on with one that was stopped.

    Args:
        name: Its name; see `list_experiments`.
        out: Folder of the run; None for `runs/experiments/NAME`, or `runs/experiments/quick/NAME`.
        quick: Run the small version.
        seed: Seed of everything that is drawn.
        data_dir: A folder that holds data sets, prepared by TFDS or as folders of images; None for
            TFDS's own place.
        fresh: Compute stored steps anew.
        quiet: Show no progress.

    Returns:
        What was measured; it is in `result.json` and `report.html` of the folder too.

    Raises:
        ValueError: If there is no such experiment, or if the folder holds a run of another one, or
            with other settings, and `fresh` is false.
        FileNotFoundError: If its data set is not there.
    """
    found = get_experiment(name)
    folder = Path(out) if out is not None else default_folder(name, quick)
    _prepare(folder, _settings(name, quick, seed, data_dir), fresh)
    context = Context(
        folder,
        quick=quick,
        seed=seed,
        data_dir=None if data_dir is None else Path(data_dir),
        quiet=quiet,
    )
    start = time.perf_counter()
    found.function(context)
    result = Result(
        name=name,
        claim=found.claim,
        source=found.source,
        expected=found.expected,
        quick=quick,
        limits=found.quick,
        seed=seed,
        figures=tuple(context.figures),
        pictures=tuple(context.pictures),
        notes=tuple(context.notes),
        seconds=round(time.perf_counter() - start + context.saved_seconds, 2),
        hardware=_hardware(),
        versions=_versions(),
    )
    write_report(result, folder)
    result.save(folder)
    return result


def finished_result(
    name: str, folder: Path, *, quick: bool, seed: int, data_dir: str | Path | None
) -> Result | None:
    """The result of a run that has ended with these settings; None where there is none."""
    if not (folder / RESULT).exists():
        return None
    before = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    wanted = _settings(name, quick, seed, data_dir)
    return load_result(folder / RESULT) if _agree(before, wanted) else None


def _settings(name: str, quick: bool, seed: int, data_dir: str | Path | None) -> dict[str, Any]:
    """What makes a run."""
    # A quick run reads what is built in.
    where = None if quick or data_dir is None else str(Path(data_dir).resolve())
    return {"experiment": name, "quick": quick, "seed": seed, "data_dir": where}


def _agree(before: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether a run was begun with these settings; one of an older version may not say all."""
    return {**settings, **before} == settings


def default_folder(name: str, quick: bool) -> Path:
    """Where a run goes if nothing else is said."""
    return Path("runs", "experiments", *(["quick"] if quick else []), name)


def _prepare(folder: Path, settings: dict[str, Any], fresh: bool) -> None:
    """Makes the folder ready, or refuses one that holds something else."""
    path = folder / SETTINGS
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if fresh and before["experiment"] == settings["experiment"]:
            shutil.rmtree(folder)
        elif not _agree(before, settings):
            raise ValueError(
                f"out={str(folder)!r} holds a run with {before}, and this one has {settings}: "
                "choose another folder, or --fresh to replace a run of the same experiment."
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"out={str(folder)!r} holds other files: choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (folder / RESULT).unlink()  # An old verdict must not outlive a run that fails.
    path.write_text(json.dumps(settings) + "\n", encoding="utf-8")


def _hardware() -> str:
    from vislearn import backend

    return backend.describe()


def _versions() -> dict[str, str]:
    import platform

    import keras

    from vislearn import __version__

    return {
        "vislearn": __version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
