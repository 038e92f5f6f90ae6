"""With the weights of another library's file, our networks answer as that library's do.

Each case writes random weights in the other library's own format, loads the file with
`create_model(weights=...)` and compares the answers: the mapping of names, the turning of kernels
and the arithmetic are proved at once.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from case import PUBLISHED, difference, keras_cases, torch_cases
from compare import keras_difference, torch_difference

import vislearn
from vislearn import registry
from vislearn.weights import published

pytestmark = pytest.mark.tensorflow
TOLERANCE = 1e-4
PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


@pytest.mark.parametrize("name", torch_cases())
def test_torch_file(name, tmp_path):
    assert torch_difference(name, tmp_path) <= TOLERANCE


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if case.slow else ())
        for name, case in keras_cases().items()
    ],
)
def test_keras_applications_file(name, tmp_path):
    assert keras_difference(name, tmp_path) <= TOLERANCE


def test_answers_that_do_not_depend_on_the_image_are_refused():
    answers = np.float32([[1, 2], [1, 2.01]])
    with pytest.raises(AssertionError, match="raise the gain"):
        difference(answers, answers)


@pytest.fixture(scope="module")
def files():
    """The published file of each model that has one."""
    families = {vislearn.model_info(name).family for name in vislearn.list_models()}
    return {name: file for family in families for name, file in published(family).items()}


def test_every_published_keras_file_has_a_case(files):
    found = {name for name, file in files.items() if file.library == "keras.applications"}
    assert found
    assert found == {case.name for case in keras_cases().values()}


def test_every_published_torch_file_fits(files):
    """As `generate.py published` found; it is run again for a file that is new."""
    expected = {
        name: file.model for name, file in files.items() if file.library != "keras.applications"
    }
    checked = json.loads(PUBLISHED.read_text())
    assert {name: row["model"] for name, row in checked.items()} == expected
    assert [name for name, row in checked.items() if not row["fits"]] == []
    assert all(row["tensors"] for row in checked.values())


def test_page_has_every_builder():
    """The page of what was measured: a builder without a row was compared with nothing."""
    rows = re.findall(r"^\| \w+ \| (\w+) \| [^|]+ \| (\d\S+) \|$", PAGE.read_text(), re.M)
    assert len(rows) > 90
    assert [row for row in rows if float(row[1]) > TOLERANCE] == []
    compared = {registry._entry(name).builder for name, _ in rows}
    assert [n for n in vislearn.list_models() if registry._entry(n).builder not in compared] == []
    cases = {case.name for case in (*torch_cases().values(), *keras_cases().values())}
    assert cases <= {name for name, _ in rows}
