"""Attention over pooled queries, keys and values (arXiv:2104.11227, arXiv:2112.01526)."""

import math

import keras
import numpy as np
from keras import ops

from vislearn.layers.initializers import independent


@keras.saving.register_keras_serializable("vislearn")
class PoolingAttention(keras.layers.Layer):
    """Multi-head self-attention whose queries, keys and values are pooled by learned convolutions.

    The tokens of an image are laid out as a map and pooled by a 3x3 depthwise convolution, the
    same for each head, and normalised; a class token stays out of the pooling. Fewer queries give
    fewer answers, fewer keys make attention cheaper. The softmax is computed in float32 also under
    mixed precision.

    Args:
        num_heads: Attention heads; it must divide `dim`.
        dim: Channels of queries, keys, values and the answer.
        grid: `(rows, columns)` of the tokens, which are the last ones.
        query_stride: Stride at which queries are pooled.
        key_stride: Stride at which keys and values are pooled.
        pool_queries: Whether queries are pooled also at stride 1 (version 2).
        relative_positions: Add scores of the query with a learned vector for each relative row and
            each relative column (version 2, equation 4).
        residual: Add the pooled query to the answer (version 2, equation 6).
        kernel_initializer: Keras initialiser of the projections.

    Shape: `(batch, prefix + tokens, channels)` to `(batch, prefix + pooled tokens, dim)`, where the
    grid has `ceil(side / query_stride)` tokens along each side, and the prefix is 0 or 1.

    Raises:
        ValueError: If an argument is out of range, or the tokens don't fit the grid.
    """

    def __init__(
        self,
        num_heads: int,
        dim: int,
        grid: tuple[int, int],
        *,
        query_stride: int = 1,
        key_stride: int = 1,
        pool_queries: bool = True,
        relative_positions: bool = True,
        residual: bool = True,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads={num_heads!r} must divide dim={dim!r}.")
        for name, stride in (("query_stride", query_stride), ("key_stride", key_stride)):
            if stride < 1:
                raise ValueError(f"{name}={stride!r} must be at least 1.")
        self.num_heads = num_heads
        self.dim = dim
        self.grid = tuple(grid)
        self.query_stride = query_stride
        self.key_stride = key_stride
        self.pool_queries = pool_queries
        self.relative_positions = relative_positions
        self.residual = residual
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    def query_grid(self) -> tuple[int, int]:
        """Rows and columns of the pooled queries."""
        return tuple(-(-side // self.query_stride) for side in self.grid)

    @property
    def key_grid(self) -> tuple[int, int]:
        """Rows and columns of the pooled keys and values."""
        return tuple(-(-side // self.key_stride) for side in self.grid)

    @property
    def pooled(self) -> dict[str, int]:
        """What is pooled, and at which stride."""
        query = {"query": self.query_stride}
        keys = {"key": self.key_stride, "value": self.key_stride}
        return {**(query if self.pool_queries or self.query_stride > 1 else {}), **keys}

    def build(self, input_shape):
        _, tokens, channels = input_shape
        if tokens is None or tokens - math.prod(self.grid) not in (0, 1):
            raise ValueError(
                f"grid={self.grid!r} must hold all tokens, or all but one, of {input_shape}."
            )
        self.prefix = tokens - math.prod(self.grid)
        size = self.dim // self.num_heads
        self.qkv_kernel = self._kernel((channels, 3 * self.dim), "qkv_kernel")
        self.qkv_bias = self._weight((3 * self.dim,), "zeros", "qkv_bias")
        self._pools = {}
        for part in self.pooled:
            self._pools[part] = (
                self._kernel((3, 3, size, 1), f"{part}_kernel", "he_uniform"),
                self._weight((size,), "ones", f"{part}_gamma"),
                self._weight((size,), "zeros", f"{part}_beta"),
            )
        if self.relative_positions:
            self._indices, self._tables = [], []
            for axis, queries, keys in zip(
                ("rows", "columns"), self.query_grid, self.key_grid, strict=True
            ):
                self._indices.append(relative_index(queries, keys))
                self._tables.append(
                    self._weight(
                        (2 * max(queries, keys) - 1, size),
                        keras.initializers.TruncatedNormal(stddev=0.02),
                        f"relative_{axis}",
                    )
                )
        self.output_kernel = self._kernel((self.dim, self.dim), "output_kernel")
        self.output_bias = self._weight((self.dim,), "zeros", "output_bias")

    def _weight(self, shape, initializer, name):
        return self.add_weight(shape, initializer=initializer, name=name)

    def _kernel(self, shape, name, initializer=None):
        return self._weight(shape, initializer or independent(self.kernel_initializer), name)

    def call(self, inputs):
        tokens, channels = inputs.shape[1:]
        x = ops.reshape(inputs, (-1, channels))
        x = ops.matmul(x, self.qkv_kernel) + self.qkv_bias
        x = ops.reshape(x, (-1, tokens, 3 * self.dim))
        parts = zip(("query", "key", "value"), ops.split(x, 3, axis=-1), strict=True)
        query, key, value = (self._heads(self._pool(part, name)) for name, part in parts)
        scale = query.shape[-1] ** -0.5
        scores = ops.matmul(query * scale, ops.transpose(key, (0, 1, 3, 2)))
        scores = ops.cast(scores, "float32")  # (batch, heads, queries, keys)
        if self.relative_positions:
            scores = self._with_positions(scores, query)
        x = ops.matmul(ops.cast(ops.softmax(scores), value.dtype), value)
        if self.residual:
            x = x + query
        answers = x.shape[2]
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, self.dim))
        x = ops.matmul(x, self.output_kernel) + self.output_bias
        return ops.reshape(x, (-1, answers, self.dim))

    def _heads(self, x):
        """`(batch, tokens, dim)` to `(batch, heads, tokens, size)`."""
        x = ops.reshape(x, (-1, x.shape[1], self.num_heads, self.dim // self.num_heads))
        return ops.transpose(x, (0, 2, 1, 3))

    def _pool(self, x, name):
        """Pools the map of tokens and normalises each head, `(batch, tokens, dim)`."""
        if name not in self._pools:
            return x
        kernel, gamma, beta = self._pools[name]
        stride, size = self.pooled[name], self.dim // self.num_heads
        first, x = x[:, : self.prefix], x[:, self.prefix :]
        x = ops.reshape(x, (-1, *self.grid, self.dim))
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        # One kernel for all heads, whose channels follow each other.
        kernel = ops.tile(ops.cast(kernel, x.dtype), (1, 1, self.num_heads, 1))
        x = ops.depthwise_conv(x, kernel, stride, "valid", data_format="channels_last")
        x = ops.reshape(x, (-1, math.prod(x.shape[1:3]), self.dim))
        if self.prefix:
            x = ops.concatenate([first, x], axis=1)
        tokens = x.shape[1]
        x = ops.reshape(x, (-1, tokens, self.num_heads, size))
        x = ops.layer_normalization(x, gamma, beta, axis=-1, epsilon=1e-6)
        return ops.reshape(x, (-1, tokens, self.dim))

    def _with_positions(self, scores, query):
        """Adds the products of the query with the vectors of its relative row and column."""
        (rows, columns), (key_rows, key_columns) = self.query_grid, self.key_grid
        heads, size = self.num_heads, query.shape[-1]
        x = query[:, :, self.prefix :]
        x = ops.reshape(x, (-1, rows, columns, size))  # (batch * heads, rows, columns, size)
        by_row, by_column = (
            ops.cast(ops.take(table, index.reshape(-1), axis=0), x.dtype)
            for table, index in zip(self._tables, self._indices, strict=True)
        )
        by_row = ops.reshape(by_row, (rows, key_rows, size))
        by_column = ops.reshape(by_column, (columns, key_columns, size))
        # (batch * heads, rows, columns, key rows) and (batch * heads, rows, columns, key columns)
        by_row = ops.matmul(x, ops.transpose(by_row, (0, 2, 1)))
        turned = ops.transpose(x, (0, 2, 1, 3))  # (batch * heads, columns, rows, size)
        by_column = ops.matmul(turned, ops.transpose(by_column, (0, 2, 1)))
        by_column = ops.transpose(by_column, (0, 2, 1, 3))
        queries = rows * columns
        by_row = ops.reshape(by_row, (-1, queries, key_rows, 1))
        by_column = ops.reshape(by_column, (-1, queries, 1, key_columns))
        bias = ops.cast(by_row + by_column, "float32")
        bias = ops.reshape(bias, (-1, heads, queries, key_rows * key_columns))
        if self.prefix:
            bias = ops.pad(bias, ((0, 0), (0, 0), (1, 0), (1, 0)))
        return scores + bias

    def compute_output_shape(self, input_shape):
        batch, tokens, _ = input_shape
        prefix = tokens - math.prod(self.grid)
        return (batch, prefix + math.prod(self.query_grid), self.dim)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "dim": self.dim,
            "grid": self.grid,
            "query_stride": self.query_stride,
            "key_stride": self.key_stride,
            "pool_queries": self.pool_queries,
            "relative_positions": self.relative_positions,
            "residual": self.residual,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def relative_index(queries: int, keys: int) -> np.ndarray:
    """Which relative position a query and a key have along one side, on grids of their own.

    The coarser of the two grids counts in steps of the finer one.

    Returns:
        `(queries, keys)`, from 0.
    """
    query_step, key_step = max(keys / queries, 1.0), max(queries / keys, 1.0)
    query, key = np.arange(queries)[:, None] * query_step, np.arange(keys)[None] * key_step
    return (query - key + (keys - 1) * key_step).astype("int32")


@keras.saving.register_keras_serializable("vislearn")
class TokenMaxPooling(keras.layers.Layer):
    """Maximum over 3x3 neighbours of the tokens of an image at a stride of 2; a class token stays.

    Args:
        grid: `(rows, columns)` of the tokens, which are the last ones.

    Shape: `(batch, prefix + rows * columns, dim)` to
    `(batch, prefix + ceil(rows / 2) * ceil(columns / 2), dim)`.
    """

    def __init__(self, grid: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.grid = tuple(grid)

    def call(self, inputs):
        tokens, dim = inputs.shape[1:]
        prefix = tokens - math.prod(self.grid)
        first, x = inputs[:, :prefix], inputs[:, prefix:]
        x = ops.reshape(x, (-1, *self.grid, dim))
        # Below every token, and a number in half precision too.
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-6e4)
        x = ops.max_pool(x, 3, 2, "valid", data_format="channels_last")
        x = ops.reshape(x, (-1, math.prod(x.shape[1:3]), dim))
        return ops.concatenate([first, x], axis=1) if prefix else x

    def compute_output_shape(self, input_shape):
        batch, tokens, dim = input_shape
        prefix = tokens - math.prod(self.grid)
        return (batch, prefix + math.prod(-(-side // 2) for side in self.grid), dim)

    def get_config(self):
        return {**super().get_config(), "grid": self.grid}
