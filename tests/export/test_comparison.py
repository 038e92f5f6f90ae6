"""The comparison that an export must pass, on made-up outputs."""

import os
import sys

import numpy as np
import pytest

from vislearn.export import parity
from vislearn.export.quiet import quiet
from vislearn.tasks import Classification
from vislearn.tasks.base import TOLERANCE


def compare(expected, actual):
    return parity.compare(Classification(("cat", "dog")), expected, actual)


def outputs(scores, class_id):
    return {
        "scores": np.array(scores, "float32"),
        "class_id": np.array(class_id, "int32"),
    }


KERAS = outputs([[0.9, 0.1], [0.5, 0.5]], [0, 0])


def test_equal_outputs_agree():
    found = compare(KERAS, KERAS)
    assert found.max_difference == {"scores": 0.0}
    assert found.agreement == 1.0
    assert found.unexplained == 0


def test_the_largest_difference_counts():
    found = compare(KERAS, outputs([[0.9, 0.1], [0.25, 0.5]], [0, 0]))
    assert found.max_difference == {"scores": 0.25}


def test_another_class_is_excused_by_a_tie_only():
    tied = compare(KERAS, outputs([[0.9, 0.1], [0.5, 0.5]], [0, 1]))
    assert (tied.agreement, tied.unexplained) == (0.5, 0)
    wrong = compare(KERAS, outputs([[0.9, 0.1], [0.5, 0.5]], [1, 0]))
    assert (wrong.agreement, wrong.unexplained) == (0.5, 1)
    apart = outputs([[0.9, 0.1], [0.5 + 2 * TOLERANCE, 0.5]], [0, 0])
    assert compare(apart, outputs(apart["scores"], [0, 1])).unexplained == 1


@pytest.mark.parametrize("class_id", [-1, 2])
def test_a_class_that_does_not_exist_is_never_excused(class_id):
    assert compare(KERAS, outputs(KERAS["scores"], [0, class_id])).unexplained == 1


def test_nan_is_an_infinite_difference():
    found = compare(KERAS, outputs([[np.nan, 0.1], [0.5, 0.5]], [0, 0]))
    assert found.max_difference == {"scores": np.inf}


@pytest.mark.parametrize(
    "other",
    [
        {"scores": KERAS["scores"]},
        {**KERAS, "scores": KERAS["scores"][:1]},
        {**KERAS, "class_id": KERAS["class_id"].astype("int64")},
    ],
)
def test_other_names_shapes_or_types_are_no_match(other):
    with pytest.raises(ValueError, match="where Keras gives"):
        compare(KERAS, other)


def test_quiet_silences_python_and_the_process(capfd):
    with quiet():
        print("from Python")
        os.write(1, b"from C\n")
        os.write(2, b"from C, too\n")
    print("after")
    sys.stderr.write("after\n")
    assert capfd.readouterr() == ("after\n", "after\n")


def test_quiet_keeps_what_was_written_before_an_error(capfd):
    def fail():
        os.write(2, b"the converter's last words\n")
        raise KeyError("lost")

    with pytest.raises(KeyError) as caught, quiet():
        fail()
    assert "the converter's last words" in caught.value.__notes__[0]
    assert capfd.readouterr() == ("", "")
