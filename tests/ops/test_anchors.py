"""Anchors against numbers worked out by hand, and their place in the grid."""

import numpy as np
import pytest

from vislearn.ops.anchors import cell_anchors, grid_anchors, pyramid_anchors

OCTAVE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))


def test_published_anchors_of_the_finest_level():
    """torchvision takes 32, 40 and 50 pixels at P3, and rounds half the sides."""
    expected = []
    for root in (0.5**0.5, 1.0, 2.0**0.5):
        for side in (32, 40, 50):
            half = np.round([side / root / 2, side * root / 2])
            expected.append([-half[0], -half[1], half[0], half[1]])
    found = cell_anchors(32, OCTAVE, (0.5, 1.0, 2.0))
    np.testing.assert_array_equal(found, expected)
    # The first is wide: ratios are heights divided by widths.
    np.testing.assert_array_equal(found[0], [-23, -11, 23, 11])


def test_scales_don_t_lose_a_pixel_to_rounding():
    """64 * 2^(1/3) * ... must not become 1 pixel less where the product is whole."""
    np.testing.assert_array_equal(
        cell_anchors(10, (0.1 + 0.2, 3.0), (1.0,)), [[-2, -2, 2, 2], [-15, -15, 15, 15]]
    )


def test_grid_goes_row_by_row_with_the_anchors_of_a_cell_together():
    cell = np.array([[-1, -2, 1, 2], [-3, -3, 3, 3]], "float32")
    found = grid_anchors(cell, (2, 3), (16, 30))
    assert found.shape == (12, 4)
    np.testing.assert_array_equal(found[0], [-1, -2, 1, 2])
    np.testing.assert_array_equal(found[1], [-3, -3, 3, 3])
    np.testing.assert_array_equal(found[2], [9, -2, 11, 2])  # 10 to the right
    np.testing.assert_array_equal(found[6], [-1, 6, 1, 10])  # 8 down


def test_pyramid_goes_from_level_to_level():
    found = pyramid_anchors((64, 64), [(8, 8), (4, 4)], (16, 32), (1.0,), (1.0, 2.0))
    assert found.shape == (2 * (64 + 16), 4)
    np.testing.assert_array_equal(found[0], [-8, -8, 8, 8])
    np.testing.assert_array_equal(found[128], [-16, -16, 16, 16])
    centres = (found[128::2, :2] + found[128::2, 2:]) / 2
    np.testing.assert_array_equal(centres[5], [16, 16])


def test_errors():
    with pytest.raises(ValueError, match="an anchor without area"):
        cell_anchors(1, (1.0,), (1.0,))
    with pytest.raises(ValueError, match="one for each of the 2 levels"):
        pyramid_anchors((64, 64), [(8, 8), (4, 4)], (16,), (1.0,), (1.0,))
