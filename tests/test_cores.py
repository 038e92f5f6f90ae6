"""How many threads are started is a question of what the process may use."""

import os

import pytest

from vislearn.cores import usable_cores

pytestmark = pytest.mark.tensorflow


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux sets cores")
def test_what_a_container_allows():
    allowed = os.sched_getaffinity(0)
    assert usable_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == os.cpu_count()
