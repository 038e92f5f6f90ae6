"""The queue before a model: what is run together, and that nobody pays for another."""

import threading

import numpy as np
import pytest
from vislearn_serve import batching
from vislearn_serve.batching import Batcher, Closed, NotComputed, QueueFull, padded


class Doubling:
    """A model that doubles, notes its batch sizes, and fails on 13."""

    def __init__(self):
        self.sizes = []
        self.go = threading.Event()
        self.began = threading.Event()

    def __call__(self, inputs):
        x = inputs["x"]
        self.sizes.append(len(x))
        self.began.set()
        assert self.go.wait(30)
        if 13 in x:
            raise RuntimeError("thirteen")
        return {"y": 2 * x}


@pytest.fixture
def model():
    model = Doubling()
    yield model
    model.go.set()


def x(*values):
    return {"x": np.array(values)}


def y(future):
    return future.result(30)["y"].tolist()


def test_what_waits_is_run_together_in_fixed_sizes(model):
    seen = []
    batcher = Batcher([model], (1, 4, 8), 100, lambda count, seconds: seen.append(count))
    first = batcher.submit(x(1))
    assert model.began.wait(30)
    others = [batcher.submit(x(*range(n))) for n in (2, 3, 2, 5)]
    assert batcher.waiting == 12
    model.go.set()
    assert y(first) == [2]
    assert [y(future) for future in others] == [[2 * i for i in range(n)] for n in (2, 3, 2, 5)]
    batcher.close()
    assert model.sizes == [1, 8, 8]  # 1, then 2 + 3 + 2 padded to 8, then 5 padded to 8
    assert seen == [1, 7, 5]


def test_a_request_larger_than_any_batch_is_cut(model):
    model.go.set()
    batcher = Batcher([model], (2, 4), 100)
    assert y(batcher.submit(x(*range(10)))) == [2 * i for i in range(10)]
    assert model.sizes == [4, 4, 2]
    batcher.close()


def test_only_the_request_that_fails_is_told_so(model):
    batcher = Batcher([model], (1, 8), 100)
    batcher.submit(x(0))
    assert model.began.wait(30)
    good, bad, other = (batcher.submit(x(value)) for value in (1, 13, 2))
    model.go.set()
    assert (y(good), y(other)) == ([2], [4])
    with pytest.raises(NotComputed, match="thirteen"):
        bad.result(30)
    assert y(batcher.submit(x(5))) == [10]  # The thread goes on.
    batcher.close()


def test_full(model):
    batcher = Batcher([model], (1,), 3)
    first = batcher.submit(x(1))
    assert model.began.wait(30)
    waiting = batcher.submit(x(2, 3))
    with pytest.raises(QueueFull, match="2 examples"):
        batcher.submit(x(4, 5))
    last = batcher.submit(x(6))
    model.go.set()
    assert [y(future) for future in (first, waiting, last)] == [[2], [4, 6], [12]]
    batcher.close()


def test_what_nobody_waits_for_is_not_run(model):
    batcher = Batcher([model], (1,), 9)
    first = batcher.submit(x(1))
    assert model.began.wait(30)
    given_up, last = batcher.submit(x(2)), batcher.submit(x(3))
    assert given_up.cancel()
    model.go.set()
    assert (y(first), y(last)) == ([2], [6])
    batcher.close()
    assert len(model.sizes) == 2


def test_who_gave_up_leaves_its_place(model):
    batcher = Batcher([model], (1,), 3)
    first = batcher.submit(x(1))
    assert model.began.wait(30)
    given_up = batcher.submit(x(2, 3, 4))
    assert given_up.cancel()
    assert batcher.waiting == 0
    last = batcher.submit(x(5, 6, 7))
    model.go.set()
    assert (y(first), y(last)) == ([2], [10, 12, 14])
    assert batcher.waiting == 0
    batcher.close()


@pytest.mark.parametrize("broken", ["concatenate", "repeat"])
def test_no_fault_ends_a_thread(model, monkeypatch, broken):
    model.go.set()
    batcher = Batcher([model], (2,), 9)
    whole, left = getattr(np, broken), [True]

    def once(*args, **options):
        if left and left.pop():
            raise MemoryError("once")
        return whole(*args, **options)

    monkeypatch.setattr(batching.np, broken, once)
    with pytest.raises(MemoryError, match="once"):
        batcher.submit(x(1)).result(10)
    assert batcher.submit(x(2)).result(10)["y"].tolist() == [4]
    batcher.close()


def test_an_answer_that_is_none_ends_no_thread():
    wrong = [{"y": None}]
    batcher = Batcher([lambda inputs: wrong.pop() if wrong else inputs], (1,), 9)
    with pytest.raises(TypeError):
        batcher.submit(x(1)).result(10)
    assert batcher.submit(x(2)).result(10)["x"].tolist() == [2]
    batcher.close()


def test_closing_runs_what_waits_and_takes_nothing_more(model):
    batcher = Batcher([model], (1,), 9)
    futures = [batcher.submit(x(value)) for value in (1, 2, 3)]
    batcher.close(wait=False)
    with pytest.raises(Closed, match="closed"):
        batcher.submit(x(4))
    model.go.set()
    assert [y(future) for future in futures] == [[2], [4], [6]]


def test_two_threads_run_two_batches_at_a_time():
    models = [Doubling(), Doubling()]
    batcher = Batcher(models, (1,), 9)
    futures = [batcher.submit(x(value)) for value in (1, 2)]
    assert all(model.began.wait(30) for model in models)
    for model in models:
        model.go.set()
    assert [y(future) for future in futures] == [[2], [4]]
    batcher.close()


def test_padding_repeats_the_last():
    assert padded(np.array([1, 2]), 4).tolist() == [1, 2, 2, 2]
