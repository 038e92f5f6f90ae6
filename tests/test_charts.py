"""Charts and rows of images."""

import numpy as np
import pytest

from vislearn.pictures import Panel, chart, image_row
from vislearn.pictures.style import CLASS_COLOURS, to_data_uri


def test_a_name_has_one_colour():
    x = [1, 10, 100]
    figure = chart(
        Panel("a", "x", "y", {"one": (x, x), "two": (x, x)}, log="xy"),
        Panel("b", "x", "y", {"two": (x, x)}, {"samples": (x, x)}, limits=(0, 5)),
    )
    first, second = figure.axes
    colours = [[line.get_color() for line in axes.lines] for axes in (first, second)]
    assert colours[0] == [*CLASS_COLOURS[:2]] and colours[1][0] == CLASS_COLOURS[1]
    assert first.get_xscale() == first.get_yscale() == "log"
    figure.canvas.draw()
    assert "10" in [label.get_text() for label in first.get_xticklabels()]
    assert second.get_ylim() == (0, 5)
    assert to_data_uri(figure).startswith("data:image/")


def test_points_have_the_colour_of_their_line():
    x = [1, 2]
    panel = Panel("a", "x", "y", {"one": (x, x)}, {"one": (x, x), "samples": (x, x)})
    line, same, other = chart(panel).axes[0].lines
    assert line.get_color() == same.get_color() != other.get_color()
    labels = [text.get_text() for text in chart(panel).axes[0].get_legend().get_texts()]
    assert labels == ["one", "samples"]


def test_images_keep_their_pixels_or_are_stretched():
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    figure = image_row({"as it is": pixels, "stretched": pixels - 8.0})
    first, second = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    np.testing.assert_array_equal(first, pixels)
    assert (second.min(), second.max()) == (0, 255)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["as it is", "stretched"]
    written = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert written[0] == [] and written[1][:2] == ["-8", "-7"] and len(written[1]) == 16


def test_refuses():
    with pytest.raises(ValueError, match="panels is empty"):
        chart()
    with pytest.raises(ValueError, match="images is empty"):
        image_row({})
    lines = {str(number): ([0], [0]) for number in range(8)}
    with pytest.raises(ValueError, match="8 names, and only 7 colours"):
        chart(Panel("a", "x", "y", lines))
    with pytest.raises(ValueError, match="must be uint8"):
        image_row({"a": np.zeros((2, 2, 4), "float32")})


def test_whole_numbers_have_whole_ticks():
    values = [0.1, 0.2, 0.3]
    places = {"epochs": [1.0, 2.0, 3.0], "weights": [0.5, 1.0, 1.5]}
    figure = chart(*(Panel(name, "x", "y", {"a": (x, values)}) for name, x in places.items()))
    whole = [np.all(np.mod(axes.get_xticks(), 1) == 0) for axes in figure.axes]
    assert whole == [True, False]
