"""Pictures of model selection show the figures they are given."""

import numpy as np
import pytest

from vislearn import pictures


def texts(axes) -> list[str]:
    return [text.get_text().strip() for text in axes.texts]


def test_fold_metrics():
    figure = pictures.fold_metrics([{"accuracy": 0.5, "loss": 1.0}, {"accuracy": 0.7, "loss": 2.0}])
    assert [axes.get_title("left") for axes in figure.axes] == [
        "accuracy  0.6000 ± 0.1414",
        "loss  1.5000 ± 0.7071",
    ]
    with pytest.raises(ValueError, match="at least two"):
        pictures.fold_metrics([{"accuracy": 0.5}])


def test_slices_put_words_side_by_side_and_mark_the_best():
    params = [{"rate": 0.1, "width": 16}, {"rate": 0.001, "width": 8}, {"rate": 0.01, "width": 16}]
    figure = pictures.slices(
        params, [0.3, 0.2, 0.4], metric="mae", scales={"rate": "log"}, mode="min"
    )
    rate, width = figure.axes
    assert rate.get_xscale() == "log" and width.get_xscale() == "linear"
    assert [label.get_text() for label in width.get_xticklabels()] == ["8", "16"]
    np.testing.assert_allclose(rate.lines[1].get_xydata(), [[0.001, 0.2]])
    np.testing.assert_allclose(width.lines[1].get_xydata(), [[0, 0.2]])
    with pytest.raises(ValueError, match="3 trials, and values 2"):
        pictures.slices(params, [0.3, 0.2], metric="mae", scales={})


def test_bars():
    (axes,) = pictures.importance_bars({"width": 0.25, "rate": 0.75}).axes
    assert texts(axes) == ["75%", "25%"]
    (axes,) = pictures.member_bars({"a": 0.5, "b": 0.75}, "accuracy", highlight="b").axes
    assert texts(axes) == ["0.5000", "0.7500"]
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()


def test_coverage_bars():
    left, right = pictures.coverage_bars([0.9, np.nan], [1.5, np.nan], "ab", stated=0.95).axes
    assert [bar.get_width() for bar in left.patches] == [0.9, 0]
    assert [bar.get_width() for bar in right.patches] == [1.5, 0]
    assert left.lines[0].get_xdata()[0] == 0.95
    with pytest.raises(ValueError, match="for 3 classes"):
        pictures.coverage_bars([0.9], [1.0], "abc", stated=0.9)
