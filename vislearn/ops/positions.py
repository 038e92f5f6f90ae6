"""Learned positions at another image size: interpolated as pictures are (arXiv:2010.11929, 3.2)."""

import math

import numpy as np


def cubic(x):
    """The cubic of Keys (1981) with a = -1/2: weights by distance, 0 from 2 on."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def resampling_matrix(old: int, new: int) -> np.ndarray:
    """Each of `new` values as a mean of `old` ones with cubic weights: `(new, old)`.

    Between the centres of cells, and widened where the values become fewer (antialiasing), as
    Pillow, and torch with `antialias=True`, do. Beyond the border the weights are left out.
    """
    scale = old / new
    centers = (np.arange(new) + 0.5) * scale
    distances = np.arange(old) + 0.5 - centers[:, None]  # (new, old)
    weights = cubic(distances / max(scale, 1.0))
    return weights / weights.sum(axis=1, keepdims=True)


def resample_positions(
    positions, grid: tuple[int, int], old_grid: tuple[int, int] | None = None
) -> np.ndarray:
    """Positions learned on one grid of patches, for another.

    Args:
        positions: `(1, prefix + rows * columns, dim)`; the vectors before the grid's, such as that
            of a class token, are kept.
        grid: The new `(rows, columns)`.
        old_grid: The old `(rows, columns)`; None for a square one with fewer vectors before it than
            would make a larger square: what most published weights are.

    Returns:
        `(1, prefix + new rows * new columns, dim)`.

    Raises:
        ValueError: If there are fewer positions than the old grid has cells.
    """
    positions = np.asarray(positions)
    count, dim = positions.shape[1:]
    if old_grid is None:
        old_grid = (math.isqrt(count),) * 2
    prefix = count - math.prod(old_grid)
    if prefix < 0:
        raise ValueError(f"positions of the shape {positions.shape} hold no {old_grid=}.")
    if tuple(old_grid) == tuple(grid):
        return positions
    cells = positions[0, prefix:].reshape(*old_grid, dim)
    rows, columns = (resampling_matrix(old, new) for old, new in zip(old_grid, grid, strict=True))
    cells = np.einsum("ir,jc,rcd->ijd", rows, columns, cells, optimize=True)
    cells = cells.reshape(1, -1, dim).astype(positions.dtype)
    return np.concatenate([positions[:, :prefix], cells], axis=1)
