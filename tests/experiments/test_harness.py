"""Figures, verdicts, steps that resume, and the folder of an experiment."""

import json
import math

import numpy as np
import pytest

from vislearn.experiments import harness
from vislearn.experiments.results import Figure, load_result
from vislearn.pictures.style import new_figure, style

FACTS = {"claim": "A claim.", "source": "s", "expected": "e", "minutes": 1.0, "quick": "Half."}


@pytest.fixture
def context(tmp_path):
    return harness.Context(tmp_path, quick=True, quiet=True)


@pytest.fixture
def register(monkeypatch):
    """Registers functions for one test."""
    harness.list_experiments()  # Loads them, once and for all tests.
    monkeypatch.setattr(harness, "_experiments", dict(harness._experiments))
    return harness.experiment(**FACTS)


def test_figures(context):
    context.figure("met", 1.0, expected=1.1, tolerance=0.2)
    context.figure("above", 3.0, at_most=2.5)
    context.figure("below", 0.25, at_least=1.0)
    context.figure("lost", math.nan, at_least=0.0)
    context.figure("reported", 7.0)
    context.figure("later", 0.0, at_least=1.0, full_only=True)
    assert [figure.holds for figure in context.figures] == [True, False, False, False, None, None]
    assert [figure.miss for figure in context.figures[:4]] == [0.0, 0.5, 0.75, math.inf]
    assert [figure.range for figure in context.figures[:5]] == [
        *("1.1 ± 0.2", "at most 2.5", "at least 1", "at least 0", "")
    ]
    assert context.figures[1].outcome == "off by 0.5"
    assert context.figures[5].outcome == "not checked in a quick run"


def test_figure_refuses(context):
    context.figure("a", 1)
    with pytest.raises(ValueError, match="name='a'"):
        context.figure("a", 1)
    with pytest.raises(ValueError, match=r"expected=1.*at_most=2"):
        context.figure("b", 1, expected=1, at_most=2)
    with pytest.raises(ValueError, match="Step name='A b'"):
        context.step("A b", list)


def test_verdict_follows_from_the_figures(register, tmp_path):
    def growing(context):
        context.figure("first", 1.0, at_least=0.5)
        context.figure("second", 2.0, at_most=1.75)
        context.figure("third", 1.0, at_least=2.0, full_only=True)
        context.figure("fourth", 58_320, expected=58_320, printed=58_000_000)
        with style():
            context.picture("blank", new_figure(1, 1), "Nothing.")

    register(growing)
    quick = harness.run_experiment("growing", out=tmp_path / "quick", quick=True, quiet=True)
    assert quick.holds is False
    assert quick.verdict == (
        "Does not hold: 2 of 3 figures are as expected. second is 2, expected at most 1.75: off by "
        "0.25. The source prints 58,000,000 for fourth, which is 58,320. 1 more are checked at "
        "full length only."
    )
    full = harness.run_experiment("growing", out=tmp_path / "full", quiet=True)
    assert "third is 1, expected at least 2: off by 1." in full.verdict
    stored = json.loads((tmp_path / "full" / "result.json").read_text())
    assert stored["verdict"] == full.verdict and stored["holds"] is False
    assert load_result(tmp_path / "full" / "result.json") == full
    page = (tmp_path / "full" / "report.html").read_text()
    assert "does not hold" in page and "off by 0.25" in page


def test_nothing_checked_is_not_decided(register, tmp_path):
    def silent(context):
        context.figure("a", 1.0)

    register(silent)
    result = harness.run_experiment("silent", out=tmp_path / "run", quiet=True)
    assert result.holds is None and result.verdict.startswith("Not decided: 0 of 0")


def test_a_killed_experiment_resumes(register, tmp_path):
    calls, drawn = [], []

    def measure(context, name):
        calls.append(name)
        return {"value": float(context.random.normal()), "pair": (1, 2)}

    def fragile(context):
        drawn.append([context.step(name, measure, context, name) for name in ("one", "two")])
        drawn[-1].append(context.random.normal())
        if len(drawn) == 1:
            raise KeyboardInterrupt
        context.figure("one", drawn[-1][0]["value"])

    register(fragile)
    with pytest.raises(KeyboardInterrupt):
        harness.run_experiment("fragile", out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "result.json").exists()
    harness.run_experiment("fragile", out=tmp_path / "run", quiet=True)
    assert calls == ["one", "two"]
    assert drawn[0] == drawn[1] and drawn[0][0]["pair"] == [1, 2]
    # A step draws the same whatever was computed before it.
    (tmp_path / "run" / "steps" / "two.json").unlink()
    harness.run_experiment("fragile", out=tmp_path / "run", quiet=True)
    assert calls == ["one", "two", "two"] and drawn[2] == drawn[0]
    harness.run_experiment("fragile", out=tmp_path / "run", quiet=True, fresh=True)
    assert calls == ["one", "two", "two", "one", "two"] and drawn[3] == drawn[0]


def test_another_run_is_not_overwritten(register, tmp_path):
    def first(context):
        context.figure("a", 1.0)

    def second(context):
        context.figure("a", 1.0)

    register(first)
    register(second)
    harness.run_experiment("first", out=tmp_path / "run", quiet=True)
    for name, arguments in (("first", {"seed": 1}), ("second", {}), ("second", {"fresh": True})):
        with pytest.raises(ValueError, match=r"out=.*holds a run with .*'first'.*'seed': 0"):
            harness.run_experiment(name, out=tmp_path / "run", quiet=True, **arguments)
    harness.run_experiment("first", out=tmp_path / "run", quiet=True, seed=1, fresh=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="holds other files"):
        harness.run_experiment("first", out=tmp_path / "mine", quiet=True, fresh=True)


def test_other_data_is_another_run(register, tmp_path):
    def reading(context):
        context.figure("a", 1.0)

    register(reading)
    folder, data = tmp_path / "run", tmp_path / "data"
    harness.run_experiment("reading", out=folder, quiet=True, data_dir=data)
    settings = {"quick": False, "seed": 0}
    assert harness.finished_result("reading", folder, data_dir=data, **settings)
    assert harness.finished_result("reading", folder, data_dir=tmp_path, **settings) is None
    with pytest.raises(ValueError, match=r"holds a run with .*data_dir"):
        harness.run_experiment("reading", out=folder, quiet=True, data_dir=tmp_path)
    # A run of before data was written down goes on.
    before = {"experiment": "reading", **settings}
    (folder / harness.SETTINGS).write_text(json.dumps(before))
    harness.run_experiment("reading", out=folder, quiet=True, data_dir=tmp_path)


def test_names(register):
    def taken(context):
        pass

    register(taken)
    with pytest.raises(ValueError, match="name='taken' already"):
        register(taken)
    with pytest.raises(ValueError, match=r"name='gradient_decent'.*'gradient_descent'"):
        harness.get_experiment("gradient_decent")


@pytest.mark.tensorflow
def test_dataset(tmp_path):
    from PIL import Image

    for split in ("train", "test"):
        for name, shade in (("a", 10), ("b", 200)):
            folder = tmp_path / "data" / "mine" / split / name
            folder.mkdir(parents=True)
            for index in range(10):
                pixels = np.full((8, 8), shade + index, np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    arguments = {"data_dir": tmp_path / "data", "quiet": True}
    full = harness.Context(tmp_path, **arguments).dataset("mine")
    assert list(full.info.classes) == ["a", "b"]
    quick = harness.Context(tmp_path, quick=True, **arguments).dataset("mine")
    assert len(quick.info.classes) == 10


@pytest.mark.tensorflow
def test_training_goes_on(tmp_path, context):
    import keras

    def stop(epoch, logs):
        raise KeyboardInterrupt

    stopping = {"extra_callbacks": [keras.callbacks.LambdaCallback(on_epoch_end=stop)]}
    arguments = {"data": "mnist", "epochs": 2, "augment": "none", "options": {"units": [16]}}
    with pytest.raises(KeyboardInterrupt):
        context.train("one", "mlp", **arguments, **stopping)
    run = context.train("one", "mlp", **arguments)
    assert run.folder == tmp_path / "runs" / "one" and run.config.data == "digits"
    history = run.history()
    assert len(history) == 2
    again = harness.Context(tmp_path, quick=True, quiet=True)
    assert again.train("one", "mlp", **arguments).history() == history
    seconds = sum(row["seconds"] for row in history)
    assert 0 < again.saved_seconds <= seconds
    full = harness.Context(tmp_path)
    assert (context.source("mnist"), full.source("mnist")) == ("digits", "mnist")


def test_figures_show_their_digits():
    assert Figure("a", 0.060466176, digits=8).show(0.060466176) == "0.060466176"
    assert Figure("a", 34848.0).show(34848.0) == "34,848"
