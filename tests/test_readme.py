"""What the README prints works as printed."""

import re
import shlex
from pathlib import Path

import pytest
import typer

import vislearn
from vislearn.cli.base import app, parse_image_size, parse_values
from vislearn.registry import COMMON_ARGUMENTS
from vislearn.training.tuning import Tuning
from vislearn.weights import published

ROOT = Path(__file__).parents[1]


@pytest.mark.tensorflow
def test_python_example(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    accuracy = float(capsys.readouterr().out.splitlines()[-1])
    assert accuracy > 0.8


def test_commands_and_files_exist():
    text = (ROOT / "README.md").read_text()
    targets = re.findall(r"^make (\w+)", text, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert "docs/results.md" in links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []


def commands() -> list[list[str]]:
    """The lines of the README that call vislearn, as words."""
    text = (ROOT / "README.md").read_text()
    return [shlex.split(line)[1:] for line in re.findall(r"^vislearn .*", text, re.MULTILINE)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_command_is_understood(words):
    command = typer.main.get_command(app).commands[words[0]]
    given = command.make_context(words[0], words[1:]).params
    if words[0] != "train":
        return
    info = vislearn.model_info(given["model"])
    assert {*parse_values(given["option"] or [])} <= {*info.options, *COMMON_ARGUMENTS}
    assert parse_image_size(given["image_size"]) in (None, 128)
    if given["weights"] == "imagenet":
        assert info.name in published(info.family)
    if given["tune"]:
        assert Tuning.parse(given["tune"]).kind in ("head", "stages", "all")


def test_numbers_are_those_of_the_registry():
    text, names = (ROOT / "README.md").read_text(), vislearn.list_models()
    tasks = [vislearn.model_info(name).task for name in names]
    whole = tasks.count("classification") + tasks.count("regression")
    weights = [name for name in names if name in published(vislearn.model_info(name).family)]
    assert f"{whole} for classification and regression" in text
    assert len(tasks) - whole == 8
    assert "Eight for other kinds" in text
    assert f"Published weights for {len(weights)} of them" in text
