"""Self-attention inside the windows of a feature map (arXiv:2103.14030, arXiv:2111.09883)."""

import math

import keras
import numpy as np
from keras import ops

from vislearn.layers.initializers import independent
from vislearn.ops.windows import (
    fitted_windows,
    log_spaced_coordinates,
    merge_windows,
    padded_size,
    partition_windows,
    relative_position_index,
    roll_map,
    shift_mask,
)


@keras.saving.register_keras_serializable("vislearn")
class WindowAttention(keras.layers.Layer):
    """Multi-head self-attention inside windows, with a learned bias for each relative position.

    The windows lie from the upper left corner on; with a `shift`, the feature map is rolled by it
    before, and places that only this brought together stay apart. A side shorter than the window is
    one window without shift; a side that is no multiple of the window is filled up with zeros, as
    in the authors' code. The softmax is computed in float32 also under mixed precision.

    Args:
        num_heads: Attention heads; it must divide the channels.
        window_size: Side of a window.
        shift: Places by which the windows are shifted, up and to the left.
        kernel_initializer: Keras initialiser of the projections.

    Shape: `(batch, height, width, channels)`, unchanged; height and width are fixed.

    Raises:
        ValueError: If an argument is out of range, or the size of the feature map is not known.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int = 7,
        shift: int = 0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if window_size < 1:
            raise ValueError(f"window_size={window_size!r} must be at least 1.")
        if not 0 <= shift < window_size:
            raise ValueError(f"shift={shift!r} must be at least 0 and below {window_size=}.")
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift = shift
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        *size, dim = input_shape[1:]
        if None in size:
            raise ValueError(f"The size of the feature map must be fixed, not {input_shape}.")
        if self.num_heads < 1 or dim % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads!r} must divide {dim=}.")
        self.window, self._shift = fitted_windows(size, self.window_size, self.shift)
        self._size, self.padded = tuple(size), padded_size(size, self.window)
        self._index = relative_position_index(self.window)
        self._mask = shift_mask(self.padded, self.window, self._shift)
        self.qkv_kernel = self._kernel((dim, 3 * dim), "qkv_kernel")
        self._build_bias(dim)
        self.output_kernel = self._kernel((dim, dim), "output_kernel")
        self.output_bias = self._zeros((dim,), "output_bias")

    def _kernel(self, shape, name):
        start = independent(self.kernel_initializer)
        return self.add_weight(shape, initializer=start, name=name)

    def _zeros(self, shape, name):
        return self.add_weight(shape, initializer="zeros", name=name)

    def _build_bias(self, dim):
        """Makes the weights that this kind of attention has of its own."""
        self.qkv_bias = self._zeros((3 * dim,), "qkv_bias")
        rows, columns = self.window
        self.position_bias = self.add_weight(
            ((2 * rows - 1) * (2 * columns - 1), self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="position_bias",
        )

    def _projection_bias(self):
        """The bias of queries, keys and values, `(3 * channels,)`."""
        return self.qkv_bias

    def _relative_bias(self):
        """The bias of each relative position, `(positions, heads)`."""
        return self.position_bias

    def _scores(self, query, key):
        """How well queries and keys match, `(batch * windows, heads, tokens, tokens)`."""
        query = query * (query.shape[-1] ** -0.5)
        return ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))

    def call(self, inputs, training=None):
        height, width = self._size
        x = roll_map(inputs, self._shift, training=bool(training))
        bottom, side = self.padded[0] - height, self.padded[1] - width
        if bottom or side:
            x = ops.pad(x, ((0, 0), (0, bottom), (0, side), (0, 0)))
        x = partition_windows(x, self.window)  # (batch * windows, tokens, channels)
        x = merge_windows(self._attend(x), self.window, self.padded)
        if bottom or side:
            x = x[:, :height, :width]
        back = tuple(-step for step in self._shift)
        return roll_map(x, back, training=bool(training))

    def _attend(self, x):
        """Attention among the tokens of each window, `(batch * windows, tokens, channels)`."""
        tokens, dim = x.shape[1:]
        x = ops.reshape(x, (-1, dim))  # One product of matrices, not one for each window.
        joint = ops.matmul(x, self.qkv_kernel) + self._projection_bias()

        def heads(part):
            part = ops.reshape(part, (-1, tokens, self.num_heads, dim // self.num_heads))
            return ops.transpose(part, (0, 2, 1, 3))  # (batch * windows, heads, tokens, size)

        query, key, value = (heads(part) for part in ops.split(joint, 3, axis=-1))
        scores = ops.cast(self._scores(query, key), "float32")
        weights = ops.softmax(self._biased(scores))
        x = ops.matmul(ops.cast(weights, value.dtype), value)
        x = ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, dim))
        x = ops.matmul(x, self.output_kernel) + self.output_bias
        return ops.reshape(x, (-1, tokens, dim))

    def _biased(self, scores):
        """Adds the bias of the relative positions, and keeps apart what the shift brought near."""
        tokens = scores.shape[-1]
        bias = ops.take(self._relative_bias(), self._index.reshape(-1), axis=0)
        bias = ops.reshape(bias, (tokens, tokens, self.num_heads))
        bias = ops.cast(ops.transpose(bias, (2, 0, 1)), "float32")  # (heads, tokens, tokens)
        if self._mask is None:
            return scores + bias
        # One of (windows * heads) for each window, so that four axes are enough.
        windows = len(self._mask)
        bias = ops.expand_dims(bias, 0) + self._mask[:, None]  # (windows, heads, tokens, tokens)
        shape = (-1, windows * self.num_heads, tokens, tokens)
        scores = ops.reshape(scores, shape) + ops.reshape(bias, shape[1:])
        return ops.reshape(scores, (-1, self.num_heads, tokens, tokens))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "shift": self.shift,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("vislearn")
class CosineWindowAttention(WindowAttention):
    """Attention in windows by cosine, with a bias that a small network makes (arXiv:2111.09883).

    Scores are the cosine of query and key by a learned factor of at most 100 for each head
    (equation 2); the bias, 0 to 16, is a function of the log-spaced relative position (equation 3),
    whose weights don't depend on the window. Keys have no bias: the authors leave it out.

    Args:
        hidden: Inner size of the small network.
        **kwargs: Arguments of `WindowAttention`.

    Shape, Raises: As `WindowAttention`.
    """

    def __init__(self, num_heads: int, window_size: int = 8, *, hidden: int = 512, **kwargs):
        super().__init__(num_heads, window_size, **kwargs)
        self.hidden = hidden

    def _build_bias(self, dim):
        self.coordinates = log_spaced_coordinates(self.window)
        self.query_bias = self._zeros((dim,), "query_bias")
        self.value_bias = self._zeros((dim,), "value_bias")
        self.logit_scale = self.add_weight(
            (self.num_heads,),
            initializer=keras.initializers.Constant(math.log(10)),
            name="logit_scale",
        )
        self.position_kernel1 = self._kernel((2, self.hidden), "position_kernel1")
        self.position_bias1 = self._zeros((self.hidden,), "position_bias1")
        self.position_kernel2 = self._kernel((self.hidden, self.num_heads), "position_kernel2")

    def _projection_bias(self):
        # JAX takes no list of variables.
        query, value = (ops.convert_to_tensor(v) for v in (self.query_bias, self.value_bias))
        return ops.concatenate([query, ops.zeros_like(query), value])

    def _relative_bias(self):
        coordinates = ops.cast(self.coordinates, self.compute_dtype)
        x = ops.relu(ops.matmul(coordinates, self.position_kernel1) + self.position_bias1)
        return 16 * ops.sigmoid(ops.matmul(x, self.position_kernel2))

    def _scores(self, query, key):
        query, key = _unit(query), _unit(key)
        scale = ops.exp(ops.minimum(ops.cast(self.logit_scale, "float32"), math.log(100)))
        query = query * ops.reshape(scale, (-1, 1, 1))
        return ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden}


def _unit(x):
    """Vectors of length 1, in float32; zeros stay zeros."""
    x = ops.cast(x, "float32")
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square, np.float32(1e-24)))
