"""The lines of the README that bring a package to people, run as they are printed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from serving import running

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.tensorflow


def lines(start: str) -> list[str]:
    """The lines of the README about packages that ship, by how they begin."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## From a package to people") : text.index("## The other kinds")]
    shipped = re.compile(r"saved_models/(samples|digits|shapes_detector)")
    found = [
        line for line in section.splitlines() if line.startswith(start) and shipped.search(line)
    ]
    assert found
    return found


@pytest.fixture
def shell(tmp_path):
    """Runs a line in a folder that looks like a clone, and gives what it printed."""
    for name in ("saved_models", "apps"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def test_over_http(shell, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with running(ROOT / "saved_models") as client:
        answer, drawing = (
            line.replace("localhost:8080", f"127.0.0.1:{client.port}") for line in lines("curl")
        )
        found = json.loads(shell(answer))
        shell(drawing)
    assert "digits" in json.dumps(found) and "error" not in found
    assert Image.open(tmp_path / "boxes.png").width >= 64


def test_on_a_small_device(shell, tmp_path):
    single, drawn, measured = lines("python apps/edge")
    assert json.loads(shell(single).splitlines()[0])["image"].endswith("digit.png")
    shell(drawn)
    assert len([*(tmp_path / "answers").iterdir()]) == len(
        [*(ROOT / "saved_models/samples").iterdir()]
    )
    assert shell(measured)


def test_on_many_images(shell, tmp_path):
    (line,) = lines("vislearn predict-batch")
    shell(line)
    assert [*(tmp_path / "boxes").rglob("*.parquet")]
