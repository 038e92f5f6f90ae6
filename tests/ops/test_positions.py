"""Positions on another grid, against what timm's `resample_abs_pos_embed` (1.0.31) answers."""

import numpy as np
import pytest

from vislearn.ops.positions import cubic, resample_positions, resampling_matrix

# One class token and 3 x 3 positions: the squares of 1 to 10, one channel.
SQUARES = np.arange(1.0, 11.0).reshape(1, 10, 1) ** 2

TIMM = {
    (2, 4): [1.0, 9.42501, 13.46053, 20.42974, 25.96357, 50.40487, 59.48306, 73.79728, 84.37377],
    (5, 3): [
        *(1.0, 2.4151, 6.96227, 13.50943, 9.6194, 16.45522, 25.29104, 25.0, 36.0, 49.0),
        *(51.2612, 66.42538, 83.58955, 66.94339, 84.39622, 103.84905),
    ],
}


@pytest.mark.parametrize("grid", TIMM)
def test_equals_timm(grid):
    found = resample_positions(SQUARES, grid)
    np.testing.assert_allclose(found[0, :, 0], TIMM[grid], atol=1e-5)


def test_the_same_grid_keeps_them():
    np.testing.assert_array_equal(resample_positions(SQUARES, (3, 3)), SQUARES)
    np.testing.assert_array_equal(resample_positions(SQUARES, (2, 4), (2, 4)), SQUARES)


def test_vectors_before_the_grid_are_kept():
    two = np.random.default_rng(0).normal(size=(1, 2 + 2 * 4, 3)).astype("float32")
    found = resample_positions(two, (4, 4), (2, 4))
    assert (found.shape, found.dtype) == ((1, 2 + 16, 3), "float32")
    np.testing.assert_array_equal(found[:, :2], two[:, :2])


def test_constants_stay():
    for old, new in ((3, 7), (7, 3), (37, 16)):
        np.testing.assert_allclose(resampling_matrix(old, new).sum(axis=1), 1)
    assert cubic(np.array([0.0, 1.0, 2.0, 3.0])).tolist() == [1, 0, 0, 0]


def test_too_few_positions():
    with pytest.raises(ValueError, match=r"\(1, 10, 1\) hold no old_grid=\(4, 4\)"):
        resample_positions(SQUARES, (2, 2), (4, 4))
