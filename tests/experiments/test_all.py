"""Every registered experiment runs, in its quick version, and leaves what it promises."""

import json
import time

import pytest

from vislearn.experiments.harness import get_experiment, list_experiments, run_experiment
from vislearn.experiments.results import load_result

pytestmark = pytest.mark.tensorflow

# Claims that are wrong as they are made: with one lambda, decay and penalty differ for momentum.
REFUTED = ("weight_decay_vs_l2",)
NAMES = [one.name for one in list_experiments()]


@pytest.mark.parametrize("name", NAMES)
def test_quick(name, tmp_path):
    start = time.perf_counter()
    result = run_experiment(name, out=tmp_path / name, quick=True, quiet=True)
    seconds = time.perf_counter() - start
    folder = tmp_path / name
    stored = json.loads((folder / "result.json").read_text())
    assert load_result(folder / "result.json") == result
    assert stored["verdict"] == result.verdict and stored["quick"]

    checked = [figure for figure in result.figures if figure.holds is not None]
    assert result.figures and result.pictures
    # A small version checks something, and that has to hold.
    assert checked
    assert result.holds == (name not in REFUTED), result.verdict
    assert result.holds == all(figure.holds for figure in checked)

    page = (folder / "report.html").read_text()
    for picture in result.pictures:
        assert (folder / picture.file).read_bytes().startswith(b"\x89PNG")
    assert page.count("<img") == len(result.pictures)
    assert "http-equiv" in page and "<script" not in page
    assert 0 < result.seconds <= seconds


@pytest.mark.parametrize("name", NAMES)
def test_registration(name):
    one = get_experiment(name)
    assert one.function.__module__ == f"vislearn.experiments.{name}"
    assert one.claim.endswith(".") and one.quick.endswith(".")
    assert one.source and one.expected and one.minutes > 0
