"""Windows of a feature map: cut, shifted and put together (Liu et al. 2021, arXiv:2103.14030).

What depends on sizes alone (windows, masks, relative positions) is NumPy; what moves features is
`keras.ops` on tensors of four axes, which every export takes.
"""

import math

import numpy as np
from keras import ops

# What is added to the score of two places that are no neighbours in the image.
APART = -100.0


def fitted_windows(
    size: tuple[int, int], window_size: int, shift: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The window and its shift on a feature map: along a side that one window covers, the window is
    that side and is not shifted.

    Returns:
        `(window, shift)`, each as (rows, columns).
    """
    window = tuple(min(side, window_size) for side in size)
    shifts = tuple(0 if side <= window_size else shift for side in size)
    return window, shifts


def padded_size(size: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """The size of the feature map when it is filled up to whole windows."""
    return tuple(math.ceil(side / part) * part for side, part in zip(size, window, strict=True))


def roll_map(x, shift: tuple[int, int], *, training: bool = False):
    """Moves a feature map up and to the left; what leaves on one side comes in on the other.

    Args:
        x: `(batch, height, width, channels)`.
        shift: Rows and columns; negative ones move down and to the right.
        training: Whether by `ops.roll`, with which a training step of Swin-T takes 8% less time;
            else by slices, for LiteRT has no such operation.
    """
    for axis, step in enumerate(shift, start=1):
        if not step:
            continue
        if training:
            x = ops.roll(x, -step, axis=axis)
        else:
            first, rest = ops.split(x, [step % x.shape[axis]], axis=axis)
            x = ops.concatenate([rest, first], axis=axis)
    return x


def partition_windows(x, window: tuple[int, int]):
    """Cuts a feature map of whole windows.

    Args:
        x: `(batch, height, width, channels)`.
        window: Its rows and columns.

    Returns:
        `(batch * windows, rows * columns, channels)`, the windows row by row.
    """
    (width, channels), (rows, columns) = x.shape[2:], window
    across = width // columns
    x = ops.reshape(x, (-1, rows, across, columns * channels))
    x = ops.transpose(x, (0, 2, 1, 3))  # (batch * down, across, rows, columns * channels)
    return ops.reshape(x, (-1, rows * columns, channels))


def merge_windows(x, window: tuple[int, int], size: tuple[int, int]):
    """Puts the windows of `partition_windows` together again.

    Args:
        x: `(batch * windows, rows * columns, channels)`.
        window: Its rows and columns.
        size: Height and width of the feature map.

    Returns:
        `(batch, height, width, channels)`.
    """
    channels, (rows, columns), (height, width) = x.shape[-1], window, size
    across = width // columns
    x = ops.reshape(x, (-1, across, rows, columns * channels))
    x = ops.transpose(x, (0, 2, 1, 3))  # (batch * down, rows, across, columns * channels)
    return ops.reshape(x, (-1, height, width, channels))


def shift_mask(
    size: tuple[int, int], window: tuple[int, int], shift: tuple[int, int]
) -> np.ndarray | None:
    """What keeps places apart that only the shift brought into one window (Figure 4).

    Args:
        size: Height and width of the feature map, of whole windows.
        window, shift: As (rows, columns).

    Returns:
        `(windows, rows * columns, rows * columns)`, 0 or `APART`; None without a shift.
    """
    if not any(shift):
        return None
    regions = []
    for side, part, step in zip(size, window, shift, strict=True):
        place = np.arange(side)
        # The last window holds what was next to it and, behind, what came round from the start.
        regions.append((place >= side - part).astype(int) + (place >= side - step) if step else 0)
    rows, columns = (np.broadcast_to(r, side) for r, side in zip(regions, size, strict=True))
    region = 3 * rows[:, None] + columns  # (height, width)
    down, across = (side // part for side, part in zip(size, window, strict=True))
    region = region.reshape(down, window[0], across, window[1]).swapaxes(1, 2)
    region = region.reshape(down * across, -1)  # (windows, rows * columns)
    return np.where(region[:, :, None] == region[:, None, :], 0.0, APART).astype("float32")


def relative_position_index(window: tuple[int, int]) -> np.ndarray:
    """Which of the (2 rows - 1)(2 columns - 1) relative positions two places of a window have.

    Returns:
        `(rows * columns, rows * columns)`, of the query and the key.
    """
    rows, columns = window
    places = np.stack(np.indices(window), axis=-1).reshape(-1, 2)
    offset = places[:, None] - places[None] + (rows - 1, columns - 1)  # (query, key, 2), from 0
    return offset[..., 0] * (2 * columns - 1) + offset[..., 1]


def log_spaced_coordinates(window: tuple[int, int]) -> np.ndarray:
    """All relative positions, spaced by their logarithm (arXiv:2111.09883, equation 4).

    As in the authors' code they are first scaled to -8..8, so that windows of other sizes give
    values in the same range, -log2(9)/3 to log2(9)/3.

    Returns:
        `((2 rows - 1) * (2 columns - 1), 2)`, in the order of `relative_position_index`.
    """
    sides = [np.arange(1 - part, part) * (8 / max(part - 1, 1)) for part in window]
    offset = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    scaled = np.sign(offset) * np.log2(1 + np.abs(offset)) / np.log2(8)
    return scaled.astype("float32")
