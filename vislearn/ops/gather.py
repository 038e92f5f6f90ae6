"""Picking rows, each example its own."""

from keras import ops


def gather_rows(values, indices):
    """`values[b, indices[b, k]]` for all b and k, in operations that every export format has.

    Keras's `take_along_axis` does not convert to LiteRT's built-in operations.

    Args:
        values: `(batch, n, ...)`, n fixed.
        indices: `(batch, k)` integers from 0 to n - 1.

    Returns:
        `(batch, k, ...)`.
    """
    rows = values.shape[1]
    flat = ops.reshape(values, (-1, *values.shape[2:]))  # (batch * n, ...)
    first = ops.arange(ops.shape(indices)[0], dtype="int32") * rows  # of each example
    indices = ops.cast(indices, "int32") + ops.expand_dims(first, -1)
    return ops.take(flat, indices, axis=0)
