"""Grids of images without words."""

import numpy as np
import pytest

from vislearn import pictures

pytest.importorskip("matplotlib")


def test_images_stand_in_rows_from_the_upper_left():
    images = [np.full((4, 8, 3), value, "uint8") for value in (10, 20, 30, 40, 50)]
    figure = pictures.image_grid(images, columns=3)
    shown = [int(np.asarray(axes.images[0].get_array()).max()) for axes in figure.axes]
    assert shown == [10, 20, 30, 40, 50]
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].x0 < boxes[1].x0 < boxes[2].x0
    assert boxes[3].x0 == pytest.approx(boxes[0].x0)
    assert boxes[3].y1 < boxes[0].y0
    # Twice as wide as high, as the images are.
    width, height = figure.get_size_inches()
    assert boxes[0].width * width == pytest.approx(2 * boxes[0].height * height)


def test_grey_images_and_number_of_columns():
    for count, columns in ((1, 1), (9, 3), (10, 4), (400, 12)):
        figure = pictures.image_grid(np.zeros((count, 2, 2, 1), "uint8"))
        assert len(figure.axes) == count
        assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == columns


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ([], {}, "images is empty"),
        (np.zeros((2, 4, 4, 3)), {}, "images must be uint8"),
        ([np.zeros((4, 4), "uint8"), np.zeros((5, 4), "uint8")], {}, "a grid needs one size"),
        (np.zeros((2, 4, 4, 3), "uint8"), {"columns": 0}, "columns=0 must be at least 1"),
    ],
)
def test_errors(images, options, message):
    with pytest.raises(ValueError, match=message):
        pictures.image_grid(images, **options)
