"""`vislearn experiment` as a user meets it."""

import json
import sys

import pytest

from vislearn import cli
from vislearn.experiments import harness
from vislearn.pictures import Panel, chart


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs it on two experiments of the test; returns exit status, output and errors."""
    known = list(harness.list_experiments())  # Loads the others, which then stay out of the way.
    monkeypatch.setattr(harness, "_experiments", {})
    runs = []

    def first(context):
        runs.append("first")
        context.figure("size [m]", 1.5 if context.quick else 3.0, at_most=2.0)
        if context.data_dir is not None and not context.data_dir.is_dir():
            raise FileNotFoundError(f"{context.data_dir} is no folder.")
        context.picture("line", chart(Panel("a", "x", "y", {"b": ([0, 1], [0, 1])})), "A line.")

    def second(context):
        runs.append("second")
        if context.seed == 7:
            raise ValueError("seed=7 is not wanted.")
        context.figure("count", 3)

    for function in (first, second):
        harness.experiment(
            claim=f"The {function.__name__} claim.",
            source="a paper",
            expected="at most 2",
            minutes=0.5,
            quick="Half of it.",
        )(function)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["vislearn", "experiment", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, " ".join(err.split())

    call.runs, call.known = runs, known
    return call


def test_list(command):
    status, out, _ = command("list")
    assert status == 0 and "The first claim." in out and "2 experiments" in out
    rows = json.loads(command("list", "--json")[1])
    assert [row["name"] for row in rows] == ["first", "second"]
    assert rows[0]["minutes"] == 0.5 and "function" not in rows[0]
    assert len(command.known) > 2


def test_verdict(command, tmp_path):
    status, out, _ = command("first", "--quick")
    assert status == 0 and "Holds: 1 of 1" in out and "size [m]" in out
    assert (tmp_path / "runs/experiments/quick/first/report.html").exists()
    status, out, _ = command("first", "--out", "here", "--json")
    assert json.loads(out)["holds"] is False
    assert "expected at most 2: off by 1." in json.loads(out)["verdict"]


def test_all_goes_on_where_it_was(command, tmp_path):
    assert command("all", "--seed", 7, "--out", "runs")[0] == 1
    assert command.runs == ["first", "second"]
    status, _, err = command("all", "--seed", 7, "--out", "runs")
    assert status == 1 and "seed=7 is not wanted." in err
    assert command.runs == ["first", "second", "second"]
    status, out, err = command("all", "--out", "runs")
    assert status == 1 and "'seed': 7" in err and "--fresh" in err
    status, out, _ = command("all", "--out", "runs", "--fresh")
    assert status == 0 and out.count("Claim:") == 2


def test_all_goes_on_without_data(command, tmp_path):
    status, out, err = command("all", "--data-dir", "lost")
    assert status == 1 and command.runs == ["first", "second"]
    assert "Data was missing. first: lost is no folder." in err and "count" in out


def test_unknown(command):
    status, _, err = command("frist")
    assert status == 1 and "name='frist'" in err and "'first'" in err
