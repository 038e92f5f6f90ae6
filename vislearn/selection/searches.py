"""Search for a recipe: each trial is a training run, judged by its validation images.

A search is a folder:

    plan.json         what it follows from, compared on resume
    trials.json       each trial's parameters, state and figure: the one record of what was done
    trial_001/ ...    a training run a trial
    best.json         the best parameters, and the command that trains with them
    importance.png    how much of the figure's variation each parameter explains
    slices.png        the figure over each parameter

No trial reads the test split: that is left to the command in `best.json`, which is run once.
"""

import contextlib
import dataclasses
import importlib.util
import inspect
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vislearn import backend
from vislearn.registry import model_info
from vislearn.selection.runs import Counter, check_plan, finish, write_json, write_plan
from vislearn.selection.space import Choice, Range, Space, grid, parse_space
from vislearn.selection.trials import (
    DIVERGED,
    FAILED,
    FINISHED,
    RUNNING,
    Trial,
    ranking,
    read_trials,
    short,
    trial_line,
    write_trials,
)
from vislearn.training.callbacks import TrainingDiverged, announce
from vislearn.training.fitting import train
from vislearn.training.preparation import (
    check_options,
    check_seed,
    chosen_recipe,
    load_alone,
    task_kind,
)
from vislearn.training.repeating import GROUPS, RECIPE_FIELDS, train_command

PROPOSALS = ("random", "grid", "bayesian")
TRIALS = 20


@dataclasses.dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        folder: Where it lies.
        metric: Name of the figure, of the validation images.
        mode: `"max"` or `"min"`.
        trials: In their order.
        importance: Share of the figure's variation that each parameter explains (fANOVA, Hutter et
            al. 2014); None where too little was tried, or without Optuna.
        command: Trains with the best parameters, and measures on the test images.
    """

    folder: Path
    metric: str
    mode: str
    trials: tuple[Trial, ...]
    importance: dict[str, float] | None
    command: str

    @property
    def ranking(self) -> list[Trial]:
        """The finished trials, the best first; of equals the earlier."""
        return ranking(self.trials, self.mode)

    @property
    def best(self) -> Trial:
        """The best trial."""
        return self.ranking[0]

    def table(self, rows: int = 10):
        """A `rich.table.Table` of the best trials."""
        from rich.table import Table

        table = Table("trial", self.metric, *self.best.params, box=None)
        for trial in self.ranking[:rows]:
            values = [short(value) for value in trial.params.values()]
            table.add_row(str(trial.number), f"{trial.value:.4f}", *values)
        return table


def search(
    model: str,
    *,
    data: str | Path,
    space: Sequence[str] | Space,
    out: str | Path,
    method: str = "random",
    trials: int | None = None,
    trial_epochs: int | None = None,
    search_seed: int = 0,
    resume: bool = False,
    quiet: bool = False,
    **training,
) -> Search:
    """Trains with many settings and finds which does best on the validation images.

    The test split of the data is not read.

    Args:
        model, data: See `vislearn.training.train`.
        space: What varies, by name: a field of the recipe, `seed` or `precision`, `option.NAME` of
            the architecture, `objective.NAME` or `task_option.NAME`; see `parse_space`.
        out: Folder for it all; must not exist unless `resume`.
        method: `"random"` (Bergstra and Bengio 2012), `"grid"`, or `"bayesian"` (tree-structured
            Parzen estimators, Bergstra et al. 2011, of Optuna), which learns from the trials
            before.
        trials: How many; None for 20, or for all of a grid.
        trial_epochs: Epochs of a trial, where fewer than in the training to come will do.
        search_seed: Seed of what is drawn from the space. The n-th trial of a random search depends
            on this and on n only; a Bayesian one also on the figures before.
        resume: Go on with the search in `out`: trials that ended are kept, and the one that was
            killed goes on after its last whole epoch. `trials` may be larger than before.
        quiet: Print nothing.
        **training: Further arguments of `train`, fields of the recipe among them, for all trials.

    Raises:
        ValueError: If an argument, a value of the space or the data is unfit, or `resume` finds
            another plan.
        FileExistsError: If `out` exists and `resume` is False.
        RuntimeError: If no trial came to its end.
    """
    from rich.console import Console

    console, folder = Console(quiet=quiet), Path(out)
    space = space if isinstance(space, Mapping) else parse_space(space)
    if training.get("pretraining") is not None:
        raise ValueError(
            f"pretraining={training['pretraining']!r}: no figure of pretraining tells which trial "
            "is best. Pretrain with each setting, and compare linear evaluations."
        )
    if method not in PROPOSALS:
        raise ValueError(f"method={method!r} must be one of {PROPOSALS}.")
    if trials is not None and (not isinstance(trials, int) or trials < 1):
        raise ValueError(f"trials={trials!r} must be a positive integer.")
    if not isinstance(search_seed, int) or search_seed < 0:
        raise ValueError(f"search_seed={search_seed!r} must be an integer of at least 0.")
    if method == "bayesian":
        _require_optuna()
    if trial_epochs is not None and "epochs" in space:
        raise ValueError(f"trial_epochs={trial_epochs!r} goes without --space epochs.")
    info = model_info(model)
    metric, mode = _metric(info)
    if trial_epochs is not None:
        _recipe(info, {**training, "epochs": trial_epochs}, {})
    _check_space(space, training, info)
    total = trials or TRIALS
    if method == "grid":
        points = len(list(grid(space)))
        total = min(trials or points, points)
    plan = {
        "model": model,
        "data": str(data),
        "space": {name: repr(each) for name, each in space.items()},
        "method": method,
        "trial_epochs": trial_epochs,
        "search_seed": search_seed,
        "training": training,
    }
    check_plan(folder, plan, resume)
    _check_data(model, data, training)
    write_plan(folder, plan)
    announce(console, "search", f"{method}, {total} trials of {model} on {data}, in {folder}")

    done = read_trials(folder)
    with Counter(console, "trials", total) as counter:
        for number in range(1, total + 1):
            if len(done) < number:
                params = _propose(method, number, space, done, mode, search_seed)
                done.append(Trial(number, params))
                write_trials(folder, done)
            kept = done[number - 1].state != RUNNING
            if not kept:
                arguments = _arguments(training, done[number - 1].params)
                arguments["extra_callbacks"] = [counter.epochs(number)]
                if trial_epochs is not None:
                    arguments["epochs"] = trial_epochs
                done[number - 1] = _tried(
                    done[number - 1], metric, model=model, data=data, folder=folder, **arguments
                )
                write_trials(folder, done)
            best = next(iter(ranking(done[:number], mode)), None)
            figures = "" if best is None else f"best {metric} {best.value:.4f}"
            counter.ended(number, trial_line(done[number - 1], total, metric, best, kept), figures)

    if not ranking(done, mode):
        diverged = any(trial.state == DIVERGED for trial in done)
        lower = " Those that diverged need lower rates." if diverged else ""
        failed = next((f" The first that failed: {t.message}" for t in done if t.message), "")
        raise RuntimeError(
            f"None of the {len(done)} trials in {folder} came to its end.{lower}{failed}"
        )
    result = Search(
        folder=folder,
        metric=metric,
        mode=mode,
        trials=tuple(done),
        importance=_importance(done, space, mode),
        command=train_command(
            model, data, "runs/best", _arguments(training, ranking(done, mode)[0].params)
        ),
    )
    _write(result, space)
    console.print(result.table())
    if result.importance is None:
        why = "too little was tried" if _has_optuna() else "pip install 'vislearn[search]'"
        console.print(f"No importances: {why}.", highlight=False)
    else:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in result.importance.items())
        console.print(f"Importance: {shares}", highlight=False, markup=False, soft_wrap=True)
    console.print("To train with the best and measure on the test images:", highlight=False)
    console.print(f"  {result.command}", highlight=False, markup=False, soft_wrap=True)
    return result


def _check_space(space: Space, training: Mapping[str, Any], info) -> None:
    """Finds names that nothing has, and values that no trial could take, before any trial.

    A value has to fit beside the other fields as they are given or usual, or beside some value of
    another field that is searched. A combination of such values may still be unfit: its trial fails
    before it has begun.
    """
    check_options(info, training.get("options") or {})
    for name in space:
        group, dot, rest = name.partition(".")
        if dot and group in GROUPS:
            if rest in (training.get(GROUPS[group]) or {}):
                raise ValueError(f"{name} is given, and also searched.")
            if group == "option":
                check_options(info, {rest: None})
        elif name not in {*RECIPE_FIELDS, "seed", "precision"}:
            raise ValueError(
                f"--space {name} is no field of the recipe {sorted(RECIPE_FIELDS)}, neither seed "
                f"nor precision, and begins with none of {[f'{group}.' for group in GROUPS]}."
            )
        elif name in training:
            raise ValueError(f"{name}={training[name]!r} is given, and also searched.")
    ends = {
        name: each.values if isinstance(each, Choice) else (each.low, each.high)
        for name, each in space.items()
    }
    for seed in ends.get("seed", (training.get("seed", 0),)):
        check_seed(seed)
    for policy in ends.get("precision", (training.get("precision", backend.FLOAT32),)):
        with backend.precision(policy):
            pass  # It is one.
    fields = {name: values for name, values in ends.items() if name in RECIPE_FIELDS}
    if not fields:
        _recipe(info, training, {})
    for name, values in fields.items():
        beside = [
            {other: another} for other in fields if other != name for another in fields[other]
        ]
        for value in values:
            _check_value(info, training, {name: value}, beside)


def _check_value(info, training, one: dict[str, Any], beside: Sequence[dict[str, Any]]) -> None:
    """Raises what is wrong with a value, unless it is right beside another one."""
    try:
        _recipe(info, training, one)
    except ValueError:
        for other in beside:
            with contextlib.suppress(ValueError):
                _recipe(info, training, one | other)
                return
        raise


def _recipe(info, training: Mapping[str, Any], params: Mapping[str, Any]):
    """The recipe of a trial, or a `ValueError` that says why there is none."""
    arguments = inspect.signature(train).parameters
    return chosen_recipe(
        info,
        {name: v for name, v in {**training, **params}.items() if name not in arguments},
        tune=training.get("tune"),
        pretraining=training.get("pretraining"),
    )


def _check_data(model: str, data, arguments: Mapping[str, Any]) -> None:
    """Loads the data without what is tried, and sees that trials can be judged by it.

    Raises:
        ValueError, OSError: If it can't be loaded, or has no validation images.
    """
    found = load_alone(model, data=data, **{**arguments, "data_options": _data_options(arguments)})
    if "validation" not in found.info.counts:
        raise ValueError(
            f"data={str(data)!r} has no validation images, by which trials are judged: none are "
            f"given, and its {found.info.counts['train']} training images are too few to hold any "
            "out."
        )


def _data_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the data, whose test split stays unread."""
    return {**(arguments.get("data_options") or {}), "test": False}


def _metric(info) -> tuple[str, str]:
    """The figure that tells how good a run is, and which way is better."""
    task = task_kind(info.task, info.family)
    if task.metric is None or not task.takes_images:
        raise ValueError(f"{info.name} makes pictures: no figure tells which trial is best.")
    return task.metric, task.metric_mode


def _propose(method, number, space: Space, done, mode, seed) -> dict[str, Any]:
    """The parameters of a trial."""
    if method == "grid":
        return next(itertools.islice(grid(space), number - 1, None))
    if method == "random":
        rng = np.random.default_rng((seed, number))
        return {name: each.draw(rng) for name, each in space.items()}
    from optuna.samplers import TPESampler

    study = _study(done, space, mode)
    # A sampler of its own for each trial, so that a resumed search proposes as an unbroken one.
    study.sampler = TPESampler(seed=int(np.random.default_rng((seed, number)).integers(2**31)))
    found = study.ask({name: each.distribution() for name, each in space.items()}).params
    return {name: space[name].decode(value) for name, value in found.items()}


def _arguments(training: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `train` that a trial's parameters make."""
    found = dict(training)
    for name, value in params.items():
        group, dot, rest = name.partition(".")
        if dot:
            found[GROUPS[group]] = {**found.get(GROUPS[group], {}), rest: value}
        else:
            found[name] = value
    return found


def _tried(trial: Trial, metric: str, *, model, data, folder: Path, **arguments) -> Trial:
    """The trial with its result. That it diverges or can't be trained is one, too.

    Raises:
        ValueError, OSError, ImportError: Where the data, the disk or the installation is at fault,
            and not what is tried: the trial can go on when that is mended.
    """
    arguments["data_options"] = _data_options(arguments)
    started = time.perf_counter()
    state, value, message = FAILED, None, None
    try:
        out = folder / f"trial_{trial.number:03}"
        run = finish(model, data=data, out=out, quiet=True, **arguments)
        state, value = FINISHED, run.metrics()["validation"][metric]
    except TrainingDiverged:
        state = DIVERGED
    except (OSError, ImportError):
        raise
    except Exception as error:  # Builders, backends and devices raise of many kinds.
        _check_data(model, data, arguments)  # Raises, if that is why.
        message = f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - started, 1)
    return dataclasses.replace(trial, state=state, value=value, seconds=seconds, message=message)


# Optuna, for what it does better than a few lines: proposals that learn, and importances.


def _has_optuna() -> bool:
    return importlib.util.find_spec("optuna") is not None


def _require_optuna() -> None:
    if not _has_optuna():
        raise ImportError("method='bayesian' needs Optuna: pip install 'vislearn[search]'.")


def _study(trials: Sequence[Trial], space: Space, mode: str):
    """The trials that ended as an Optuna study in memory: the record stays with `trials.json`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    distributions = {name: each.distribution() for name, each in space.items()}
    for trial in trials:
        if trial.state != RUNNING:
            state = optuna.trial.TrialState
            study.add_trial(
                optuna.trial.create_trial(
                    params={n: space[n].encode(value) for n, value in trial.params.items()},
                    distributions=distributions,
                    value=trial.value,
                    state=state.COMPLETE if trial.state == FINISHED else state.FAIL,
                )
            )
    return study


def _importance(trials: Sequence[Trial], space: Space, mode: str) -> dict[str, float] | None:
    """Shares of the figure's variation that parameters explain, the largest first."""
    values = {trial.value for trial in trials if trial.state == FINISHED}
    if len(values) < 2 or not _has_optuna():
        return None
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    study = _study(trials, space, mode)
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))


def _write(result: Search, space: Space) -> None:
    """`best.json`, `importance.png` and `slices.png`."""
    from vislearn import pictures

    finished = [trial for trial in result.trials if trial.state == FINISHED]
    ranges = {name: each for name, each in space.items() if isinstance(each, Range)}
    figure = pictures.slices(
        [trial.params for trial in finished],
        [trial.value for trial in finished],
        metric=result.metric,
        scales={name: "log" if each.log else "linear" for name, each in ranges.items()},
        mode=result.mode,
    )
    pictures.save(figure, result.folder / "slices.png")
    if result.importance is not None:
        figure = pictures.importance_bars(result.importance)
        pictures.save(figure, result.folder / "importance.png")
    best = dataclasses.asdict(result.best)
    extra = {"metric": result.metric, "importance": result.importance, "command": result.command}
    write_json(result.folder / "best.json", best | extra)
