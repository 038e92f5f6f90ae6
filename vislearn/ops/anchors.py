"""Anchors: the boxes, laid over an image in a grid, that a detector describes objects relative to.

They follow from the sizes of image and feature maps alone, so they are made once, in NumPy.
"""

from collections.abc import Sequence

import numpy as np


def cell_anchors(size: float, scales: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """The anchors of one cell, around (0, 0).

    Rounded as in torchvision, with whose anchors the published weights were trained: the side of
    each scale down to whole pixels, then the corners to the nearest whole pixel.

    Args:
        size: Side in pixels of the square anchor of scale 1.
        scales: Factors on the size.
        ratios: Heights divided by widths; the area is that of the square anchor.

    Returns:
        `(ratios * scales, 4)` float32, the scales within a ratio.

    Raises:
        ValueError: If an anchor would be smaller than two pixels.
    """
    sides = np.floor(size * np.asarray(scales, np.float64) + 1e-9)
    roots = np.sqrt(np.asarray(ratios, np.float64))
    widths = (sides / roots[:, None]).ravel()
    heights = (sides * roots[:, None]).ravel()
    anchors = np.round(np.stack([-widths, -heights, widths, heights], axis=1) / 2)
    if np.any(anchors[:, 2:] <= anchors[:, :2]):
        raise ValueError(
            f"{size=} with {scales=} and {ratios=} gives an anchor without area: "
            f"each side must be at least 2 pixels."
        )
    return anchors.astype("float32")


def grid_anchors(
    cell: np.ndarray, grid: tuple[int, int], image_size: tuple[int, int]
) -> np.ndarray:
    """The anchors of one feature map.

    The stride is the image size divided by the grid's, rounded down. The first cell lies on the
    corner of the image: a convolution that pads alike on both sides looks at pixel `stride * i`
    there, not at the middle of the cell.

    Args:
        cell: `(n, 4)` anchors of one cell.
        grid: Height and width of the feature map.
        image_size: Height and width of the image.

    Returns:
        `(height * width * n, 4)` float32: row by row, the anchors of a cell together.
    """
    (rows, columns), (height, width) = grid, image_size
    y = np.arange(rows) * (height // rows)
    x = np.arange(columns) * (width // columns)
    x, y = np.meshgrid(x, y)
    shifts = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)  # (cells, 1, 4)
    return (shifts + cell).reshape(-1, 4).astype("float32")


def pyramid_anchors(
    image_size: tuple[int, int],
    grids: Sequence[tuple[int, int]],
    sizes: Sequence[float],
    scales: Sequence[float],
    ratios: Sequence[float],
) -> np.ndarray:
    """The anchors of all levels of a pyramid, in the order of the levels.

    Args:
        image_size: Height and width of the image.
        grids: Height and width of each level's feature map.
        sizes: Side of each level's square anchor of scale 1.
        scales, ratios: See `cell_anchors`.

    Returns:
        `(anchors, 4)` float32.

    Raises:
        ValueError: If there is not one size a level, or an anchor would have no area.
    """
    if len(sizes) != len(grids):
        raise ValueError(f"{sizes=} must be one for each of the {len(grids)} levels.")
    levels = [
        grid_anchors(cell_anchors(size, scales, ratios), grid, image_size)
        for size, grid in zip(sizes, grids, strict=True)
    ]
    return np.concatenate(levels)
