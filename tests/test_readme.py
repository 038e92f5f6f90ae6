"""What the README prints works as printed."""

import re
from pathlib import Path

import pytest

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
