"""No rung leaves a model out: every registered name is collected in every test of the ladder.

What can be asked of some models only is listed here, with those it is asked of.
"""

import collections
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rungs import CLASSIFIERS, MODELS, NETWORKS, OTHERS, takes_pixels

HERE = Path(__file__).parent
RUNGS = sorted(path.name for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)


ONLY = {
    "test_without_head": CLASSIFIERS,  # A head of classes can be left off, others are the network.
    "test_activation_of_the_answer": CLASSIFIERS,
    "test_reads_digits": CLASSIFIERS,
    "test_step_is_compiled": CLASSIFIERS,
    "test_same_losses": OTHERS,  # Classifiers have one loss, tested by itself.
    "test_the_loss_falls": OTHERS,  # Instead of reading digits.
    # The others are the same file at their tiny size.
    "test_fewer_bits_need_no_operation_that_litert_lacks": NETWORKS,
    "test_preprocessing_is_in_the_model": [name for name in MODELS if takes_pixels(name)],
}


@pytest.fixture(scope="module")
def collected():
    """For each rung, the names with which its tests were collected, as `{file: {test: names}}`."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listing = subprocess.run(
        [*command, str(HERE)], capture_output=True, text=True, check=True, cwd=HERE.parent.parent
    ).stdout
    found = collections.defaultdict(lambda: collections.defaultdict(set))
    for line in listing.splitlines():
        match = re.fullmatch(r"(?:.*/)?(test_\w+\.py)::(\w+)\[(.+)\]", line)
        if match:
            file, test, case = match.groups()
            # With a second parameter, a case is "wrong-name".
            found[file][test].add(case.rsplit("-", 1)[-1])
    return found


@pytest.mark.parametrize("rung", RUNGS)
def test_every_model_in_every_test(rung, collected):
    assert collected[rung], f"{rung} collects no model at all"
    for test, names in collected[rung].items():
        assert names == {*ONLY.get(test, MODELS)}, f"{rung}::{test}"


def test_there_are_all_rungs():
    """By name, so that a rung that is deleted or renamed is missed."""
    assert RUNGS == [
        "test_backends.py",
        "test_build.py",
        "test_count.py",
        "test_export.py",
        "test_learn.py",
        "test_parity.py",
        "test_precision.py",
        "test_save.py",
        "test_signature.py",
        "test_xla.py",
    ]
