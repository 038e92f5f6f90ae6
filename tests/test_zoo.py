"""The whole zoo: every architecture of the table is there, with the published counts.

`tests/references/architectures.csv` is kept apart from the registrations, so that neither can be
changed to please the other. Its multiply-adds are those of the reference at the input of the row.
"""

import csv
from pathlib import Path

import pytest

import vislearn
from vislearn.catalogue import counts
from vislearn.multiply_adds import count_multiply_adds

TABLE = Path(__file__).with_name("references") / "architectures.csv"
with open(TABLE, newline="") as file:
    ROWS = {row["name"]: row for row in csv.DictReader(file)}
every_row = pytest.mark.parametrize("name", ROWS)


def test_table_is_whole():
    assert len(ROWS) == 92
    missing = {*ROWS} - {*vislearn.list_models()}
    assert missing == set()


def test_nothing_else_is_registered():
    """A model that is not in the table would have no counts to be compared with."""
    registered = {*vislearn.list_models("classification"), *vislearn.list_models("regression")}
    assert registered == {*ROWS}


def test_page_of_models_lists_them_all():
    """`python docs/models.py` writes it anew."""
    page = Path(__file__).parents[1].joinpath("docs", "models.md").read_text()
    for name in ROWS:
        assert f"| `{name}` |" in page
        assert f"{counts(name).parameters:,}" in page


def check(row, parameters: int, multiply_adds: int) -> None:
    """Compares with the table, where it has a number."""
    if row["reference_params"]:
        assert parameters == int(row["reference_params"])
    if row["reference_gmacs"]:
        assert multiply_adds / 1e9 == pytest.approx(float(row["reference_gmacs"]), rel=0.01)


@every_row
def test_registration(name):
    row, info = ROWS[name], vislearn.model_info(name)
    assert info.task == row["task"]
    assert info.input_shape == tuple(map(int, row["input_shape"].split("x")))
    assert info.num_classes == int(row["num_classes"])
    if row["reference_params"]:  # Else the registration may hold a sum of its own.
        assert info.reference_params == int(row["reference_params"])
    if row["reference_gmacs"]:
        assert info.reference_gmacs == float(row["reference_gmacs"])
    # What the ladder compares with the network itself.
    check(row, counts(name).parameters, counts(name).multiply_adds)


@pytest.mark.slow
@every_row
def test_builds_at_its_published_size(name):
    model = vislearn.create_model(name)
    check(ROWS[name], model.count_params(), count_multiply_adds(model))
    assert sum(weight.size for weight in model.get_weights()) == model.count_params()
