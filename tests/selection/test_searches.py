"""Search: reproducible proposals, the test split never, and killed ones go on."""

import json
import shlex
import shutil
import sys

import numpy as np
import pytest

from vislearn.data.images import ImageError
from vislearn.registry import model_info
from vislearn.selection import search, searches
from vislearn.selection.searches import _arguments, _check_space, _importance, _propose
from vislearn.selection.space import parse_space
from vislearn.selection.trials import Trial, read_trials
from vislearn.training import Run
from vislearn.training.repeating import train_command

SPACE = ["learning_rate=log:1e-3..1e-1", "optimizer=sgd,adamw", "seed=0,1"]


def start(guarded, out, **more):
    arguments = {"trials": 2, "trial_epochs": 2, "batch_size": 8, "space": SPACE, **more}
    return search(
        "linear_classifier",
        data=guarded,
        out=out,
        quiet=True,
        data_options={"strict": True},  # The test split would raise.
        **arguments,
    )


def without_times(trials):
    return [(trial.params, trial.state, trial.value) for trial in trials]


@pytest.fixture(scope="module")
def whole(guarded, tmp_path_factory):
    return start(guarded, tmp_path_factory.mktemp("search") / "whole")


@pytest.mark.tensorflow
def test_each_trial_is_a_run_judged_by_its_validation_images(whole):
    for trial in whole.trials:
        run = Run.open(whole.folder / f"trial_{trial.number:03}")
        assert run.metrics() == {"validation": run.metrics()["validation"]}
        assert trial.value == run.metrics()["validation"]["accuracy"]
        assert run.config.recipe.epochs == 2 and run.config.seed == trial.params["seed"]
        assert run.config.recipe.learning_rate == trial.params["learning_rate"]
    assert whole.best.value == max(trial.value for trial in whole.trials)
    best = json.loads((whole.folder / "best.json").read_text())
    assert best["params"] == whole.best.params and best["command"] == whole.command
    assert (whole.folder / "slices.png").stat().st_size > 5000


@pytest.mark.tensorflow
def test_a_killed_one_goes_on_where_it_stopped(guarded, whole, killed, tmp_path):
    out = tmp_path / "search"
    killed(3)  # After the first epoch of the second trial.
    with pytest.raises(KeyboardInterrupt):
        start(guarded, out)
    states = [row["state"] for row in json.loads((out / "trials.json").read_text())]
    assert states == ["finished", "running"]
    assert len(Run.open(out / "trial_002").history()) == 1
    found = start(guarded, out, resume=True)
    assert without_times(found.trials) == without_times(whole.trials)
    assert found.trials[0].seconds == json.loads((out / "trials.json").read_text())[0]["seconds"]
    with pytest.raises(ValueError, match="has search_seed=0, not 1"):
        start(guarded, out, resume=True, search_seed=1)


@pytest.mark.tensorflow
def test_a_trial_that_diverges_is_a_result(guarded, tmp_path):
    space = ["learning_rate=0.01,1e38"]
    more = {"optimizer": "sgd", "method": "grid", "trials": None}
    found = start(guarded, tmp_path / "grid", space=space, **more)
    assert [trial.state for trial in found.trials] == ["finished", "diverged"]
    assert found.best.params == {"learning_rate": 0.01}


@pytest.mark.tensorflow
def test_a_trial_that_cannot_be_trained_is_a_result(guarded, tmp_path, monkeypatch):
    """One value can't be built, one combination has no recipe; the others are tried, once."""
    space = ["option.classifier_activation=null,foo", "optimizer=sgd,adam"]
    more = {"space": space, "method": "grid", "trials": None, "learning_rate": 0.01}
    more["optimizer_options"] = {"beta_2": 0.9}
    with pytest.raises(ValueError, match="sgd takes none"):
        start(guarded, tmp_path / "wrong", **more)
    more["space"] = [*space, 'optimizer_options={},{"beta_2":0.9}']
    del more["optimizer_options"]
    found = start(guarded, tmp_path / "grid", **more)
    states = [trial.state for trial in found.trials]
    assert states == ["finished", "failed", "finished", "finished", *["failed"] * 4]
    assert "sgd takes none" in found.trials[1].message
    assert "foo" in found.trials[7].message
    assert len(found.ranking) == 3 and found.best.message is None
    assert not found.importance or sum(found.importance.values()) == pytest.approx(1)

    def refuse(*_, **__):
        raise AssertionError("a trial that has ended is not tried again")

    monkeypatch.setattr("vislearn.selection.searches.finish", refuse)
    again = start(guarded, tmp_path / "grid", resume=True, **more)
    assert without_times(again.trials) == without_times(found.trials)


@pytest.mark.tensorflow
def test_where_nothing_can_be_trained_the_error_says_why(guarded, tmp_path):
    space = ["option.classifier_activation=foo,bar"]
    with pytest.raises(RuntimeError, match=r"None of the 2 trials.*ValueError: .*foo") as error:
        start(guarded, tmp_path / "out", space=space, method="grid")
    assert "diverged" not in str(error.value)


@pytest.mark.tensorflow
def test_a_fault_of_the_data_stops_the_search(guarded, whole, tmp_path, monkeypatch):
    """A file is damaged after the first trial; mended, the search goes on as if it had not been."""
    data, out = tmp_path / "data", tmp_path / "search"
    shutil.copytree(guarded, data)
    image = data / "train" / "dark" / "00.png"
    sound, begin = image.read_bytes(), searches.finish

    def damage(*arguments, out, **more):
        if out.name == "trial_002":
            image.write_bytes(sound[:40])
        return begin(*arguments, out=out, **more)

    with monkeypatch.context() as patch:
        patch.setattr(searches, "finish", damage)
        with pytest.raises(ImageError, match=r"00\.png"):
            start(data, out)
    assert [trial.state for trial in read_trials(out)] == ["finished", "running"]
    with pytest.raises(ImageError, match=r"00\.png"):
        start(data, out, resume=True)
    image.write_bytes(sound)
    assert without_times(start(data, out, resume=True).trials) == without_times(whole.trials)


def test_data_that_no_trial_could_be_judged_by(guarded, tmp_path):
    """One image a class is too few to hold any out."""
    for name in ("bright", "dark"):
        (tmp_path / "data" / "train" / name).mkdir(parents=True)
        shutil.copy(guarded / "train" / name / "00.png", tmp_path / "data" / "train" / name)
    with pytest.raises(ValueError, match="has no validation images"):
        start(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "space", "training"),
    [
        ("mlp", ['schedule_options={"every":0.5},{"every":0.25}'], {"schedule": "step"}),
        ("mlp", ['optimizer_options={"rho":0.9},{"rho":0.99}'], {"optimizer": "rmsprop"}),
        ("vit_tiny_patch16", ["clip_value=0.1..1.0"], {"clip_norm": None}),
        ("mlp", ["optimizer=adam,rmsprop", 'optimizer_options={"rho":0.9},{"beta_2":0.9}'], {}),
        ("vit_tiny_patch16", ["clip_norm=null", "clip_value=0.1..1.0"], {}),
        ("mlp", ["l1=1e-4,1e-3", "penalized=dense1,dense2"], {}),
        ("resnet18", ["augment=none"], {"weights": "imagenet", "tune": "head"}),
    ],
)
def test_a_value_is_judged_beside_what_is_given_and_searched(model, space, training):
    _check_space(parse_space(space), training, model_info(model))


def test_proposals():
    space = parse_space(["learning_rate=log:1e-3..1e-1:3", "optimizer=sgd,adamw"])
    random = [_propose("random", n, space, [], "max", 0) for n in range(1, 9)]
    assert random == [_propose("random", n, space, [], "max", 0) for n in range(1, 9)]
    assert random != [_propose("random", n, space, [], "max", 1) for n in range(1, 9)]
    grid = [_propose("grid", n, space, [], "max", 0) for n in range(1, 7)]
    assert len({tuple(params.values()) for params in grid}) == 6


def judged(method: str, mode: str, count: int) -> list[Trial]:
    """Trials whose figure is best where the learning rate is 1e-2; `width` does not matter."""
    pytest.importorskip("optuna")
    space = parse_space(["learning_rate=log:1e-5..1e1", "width=[4],[8]"])
    trials = []
    for number in range(1, count + 1):
        params = _propose(method, number, space, trials, mode, 0)
        miss = abs(np.log10(params["learning_rate"]) + 2)
        trials.append(Trial(number, params, "finished", miss if mode == "min" else -miss))
    return trials


@pytest.mark.parametrize("mode", ["min", "max"])
def test_bayesian_search_learns_from_its_trials(mode):
    bayesian, random = (judged(method, mode, 30) for method in ("bayesian", "random"))
    late = [np.mean([abs(trial.value) for trial in trials[-10:]]) for trials in (bayesian, random)]
    assert late[0] < 0.5 * late[1]
    assert [trial.params for trial in judged("bayesian", mode, 15)] == [
        trial.params for trial in bayesian[:15]
    ]
    assert {type(trial.params["width"]) for trial in bayesian} == {list}


def test_importance_finds_what_matters():
    trials = judged("random", "max", 25)
    space = parse_space(["learning_rate=log:1e-5..1e1", "width=[4],[8]"])
    found = _importance(trials, space, "max")
    assert found["learning_rate"] > 0.9 and sum(found.values()) == pytest.approx(1)
    assert [*found] == ["learning_rate", "width"]
    assert _importance(trials[:1], space, "max") is None


@pytest.mark.tensorflow
def test_the_command_trains_with_what_was_found(monkeypatch):
    import vislearn.training
    from vislearn import cli

    seen = {}
    monkeypatch.setattr(vislearn.training, "train", lambda model, **all: seen.update(all))
    training = {
        "epochs": 30,
        "image_size": (24, 32),
        "weights": "a run/model.keras",
        "options": {"filters": [4, 8]},
        "data_options": {"strict": True, "data_dir": "data sets"},
    }
    params = {
        "learning_rate": 0.0123456789012345,
        "clip_norm": None,
        "seed": 3,
        "option.name_of": "a b",
        "objective.beta": 4.0,
        "task_option.schedule": "cosine",
    }
    expected = _arguments(training, params)
    words = shlex.split(train_command("lenet5", "my photos", "runs/best", expected))
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert seen["data"] == "my photos"
    for name, value in expected.items():
        assert seen[name] == value, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"space": ["learning_rat=1,2"]}, "--space learning_rat is no field"),
        ({"space": ["optimizer=sgd,sgdd"]}, "optimizer='sgdd' must be"),
        ({"space": ["batch_size=4,8"]}, "batch_size=8 is given, and also searched"),
        ({"space": ["learning_rate=1e-3..1e-1"], "method": "grid"}, "number of points"),
        ({"space": ["loss=log,logg"]}, "loss='logg' must be one of"),
        ({"space": ["augment=none,nonesuch"]}, "augment='nonesuch' must be one of"),
        ({"space": ["option.depht=1,2"]}, r"options holds \['depht'\]"),
        ({"space": ["seed=1,2"], "epoch": 3}, r"\['epoch'\] are no fields"),
        ({"space": ["seed=1,2"], "clip_norm": "a"}, "clip_norm='a' must be"),
        ({"space": ["epochs=1,2"]}, "trial_epochs=2 goes without --space epochs"),
        ({"space": ["seed=1,2"], "trial_epochs": 0}, "epochs=0 must be a positive integer"),
        ({"method": "genetic"}, "method='genetic' must be one of"),
        ({"trials": 0}, "trials=0 must be"),
        ({"space": ["seed=1,2"], "pretraining": "simclr"}, "pretraining='simclr': no figure"),
    ],
)
def test_wrong_arguments(wrong, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        start(tmp_path, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_generators_have_no_figure(tmp_path):
    with pytest.raises(ValueError, match="no figure tells"):
        search("ddpm", data="digits", out=tmp_path / "out", space=["epochs=1,2"])
