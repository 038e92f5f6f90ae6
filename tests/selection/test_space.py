"""Search spaces: what they are written as, and what is drawn from them."""

import numpy as np
import pytest

from vislearn.selection.space import Choice, Range, grid, parse_space


def test_parse():
    space = parse_space(
        [
            "learning_rate=log:1e-4..1e-1:4",
            "optimizer=sgd,adamw",
            "epochs=5..20",
            "option.filters=[4,8],[8,16]",
            "clip_norm=None,1.0",
        ]
    )
    assert space == {
        "learning_rate": Range(1e-4, 1e-1, log=True, points=4),
        "optimizer": Choice(("sgd", "adamw")),
        "epochs": Range(5, 20),
        "option.filters": Choice(([4, 8], [8, 16])),
        "clip_norm": Choice((None, 1.0)),
    }


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("learning_rate", "must have the form name=values"),
        ("learning_rate=", "must have the form name=values"),
        ("learning_rate=a..b", r"name=\[log:\]low..high\[:points\]"),
        ("learning_rate=1..0.1", "low must be below high"),
        ("learning_rate=log:0..1", "above 0 with log"),
        ("learning_rate=0.1..1:1", "points at least 2"),
    ],
)
def test_wrong_pairs(pair, message):
    with pytest.raises(ValueError, match=message):
        parse_space([pair])


def test_a_name_twice_and_no_name():
    with pytest.raises(ValueError, match="epochs is given twice"):
        parse_space(["epochs=1,2", "epochs=3,4"])
    with pytest.raises(ValueError, match="nothing to search"):
        parse_space([])


def test_draws_follow_their_distribution():
    rng = np.random.default_rng(0)
    rates = np.array([Range(1e-4, 1e-1, log=True).draw(rng) for _ in range(3000)])
    assert rates.min() >= 1e-4 and rates.max() <= 1e-1
    for decade in (1e-4, 1e-3, 1e-2):  # A third in each order of magnitude.
        assert abs(np.mean((rates >= decade) & (rates < 10 * decade)) - 1 / 3) < 0.04
    epochs = [Range(5, 8).draw(rng) for _ in range(4000)]
    assert {type(value) for value in epochs} == {int}
    assert np.allclose(np.bincount(epochs)[5:], 1000, atol=120) and max(epochs) == 8
    assert {Choice(("a", "b")).draw(rng) for _ in range(50)} == {"a", "b"}


def test_grid():
    space = parse_space(["learning_rate=log:1e-4..1e-1:4", "epochs=1..3:3"])
    points = [*grid(space)]
    assert len(points) == 12
    assert points[0] == {"learning_rate": 1e-4, "epochs": 1}
    assert [point["epochs"] for point in points[:4]] == [1, 2, 3, 1]
    np.testing.assert_allclose(
        [point["learning_rate"] for point in points[::3]], [1e-4, 1e-3, 1e-2, 1e-1]
    )
    with pytest.raises(ValueError, match="needs the number of points"):
        list(grid(parse_space(["epochs=1..3"])))
