"""Rung: as many parameters as published, exactly, and as many multiply-adds, to one per cent."""

import pytest
from rungs import every_network, every_published, published, tiny

import vislearn
from vislearn.catalogue import Counts, build_shapes, counts
from vislearn.multiply_adds import count_multiply_adds


@every_published
def test_parameters(name):
    info = vislearn.model_info(name)
    if info.reference_params is None:
        pytest.skip(f"nobody published a count for {name}")
    assert published(name).count_params() == info.reference_params


@every_published
def test_multiply_adds(name):
    count = count_multiply_adds(published(name))
    assert count > 0
    reference = vislearn.model_info(name).reference_gmacs
    if reference is not None:
        assert count / 1e9 == pytest.approx(reference, rel=0.01)


@every_published
def test_stored_counts(name):
    """What `vislearn models` shows; `python -m vislearn.catalogue` writes them anew."""
    model = published(name)
    assert counts(name) == Counts(model.count_params(), count_multiply_adds(model))


@every_network
def test_shapes_without_values_count_the_same(name):
    """What `published` relies on."""
    shapes, values = build_shapes(name, **vislearn.model_info(name).tiny), tiny(name)
    assert shapes.count_params() == values.count_params()
    assert sum(weight.size for weight in values.get_weights()) == values.count_params()
