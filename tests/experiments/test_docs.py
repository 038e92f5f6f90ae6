"""The page of experiments says what the stored results say."""

import json
import runpy
from pathlib import Path

import pytest

from vislearn.experiments.harness import list_experiments
from vislearn.experiments.results import load_result

DOCS = Path(__file__).parents[2] / "docs"
STORED = sorted((DOCS / "experiments").glob("*.json"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored(path):
    result = load_result(path)
    assert not result.quick and result.name == path.stem
    assert result.name in [one.name for one in list_experiments()]
    assert json.loads(path.read_text())["verdict"] == result.verdict
    assert path.with_suffix(".png").stat().st_size < 300_000
    assert f"**{result.verdict}**" in (DOCS / "experiments.md").read_text()


def test_page_is_up_to_date():
    page = runpy.run_path(str(DOCS / "experiments.py"))["page"]()
    assert (DOCS / "experiments.md").read_text() == page, "run python docs/experiments.py"
    names = {path.stem for path in STORED}
    waiting = [one.name for one in list_experiments() if one.name not in names]
    assert page.count("Not run at full length yet.") == len(waiting)
