"""Masks: a class number for each pixel."""

IGNORE = 255  # The class number of pixels that are neither learned nor counted.


def centre_crop(masks, height: int, width: int):
    """The centre of masks, for networks that answer for the centre of the image only.

    Args:
        masks: `(batch, rows, columns)`, array or tensor of a known size.
        height, width: Size of the answer. Where the rest is odd, the row or column that is left
            over is taken off the end.

    Returns:
        `(batch, height, width)`.

    Raises:
        ValueError: If the answer is larger than the mask.
    """
    rows, columns = masks.shape[1:3]
    if (rows, columns) == (height, width):
        return masks
    if rows < height or columns < width:
        raise ValueError(
            f"A mask of {rows} x {columns} pixels is too small for an answer of {height} x {width}."
        )
    top, left = (rows - height) // 2, (columns - width) // 2
    return masks[:, top : top + height, left : left + width]
